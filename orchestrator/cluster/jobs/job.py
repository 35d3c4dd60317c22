"""A study as a job of a cluster: submitted, looked at, stopped."""

import secrets
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster.jobs.client import answering
from orchestrator.cluster.jobs.shipment import Shipment
from orchestrator.errors import StudyFailedError

#: How long Ray waits for a stopped job before it kills it: a study pauses in seconds, or when a storage has all of it.
STOP_SECONDS = 90
_MARK = "convfleet"
_NOT_FOUND = 127
_POLL_SECONDS = 0.5
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
#: The exit codes of this command line for a study that is done, that failed, and that was paused.
_DONE, _FAILED, _PAUSED = 0, 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a cluster, as the cluster tells it.

    Attributes:
        name: Its id.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        exit_code: That of its command; None while it runs, and for a job that was stopped or never began.
        study: The study's name; empty for a job of something else.
        run: The run folder on the nodes; empty likewise.
        command: What it runs.
        message: What Ray says about it.
        started_at: Seconds since 1970; None: not yet.
        ended_at: Likewise.
    """

    name: str
    status: str
    exit_code: int | None
    study: str
    run: str
    command: str
    message: str
    started_at: float | None
    ended_at: float | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in _ENDED

    @property
    def code(self) -> int:
        """The exit code that a command which followed it to its end has: the one that the study had."""
        if self.status == "STOPPED":
            return _PAUSED
        if self.exit_code is None:
            return _DONE if self.status == "SUCCEEDED" else _FAILED
        # A negative one is that of a signal, as shells have it.
        return self.exit_code if self.exit_code >= 0 else 128 - self.exit_code


def submit(client: Any, shipment: Shipment, *, address: str, runs: str) -> str:
    """Submits a study and returns the job's id.

    Args:
        client: As `connected` returns it.
        shipment: What travels.
        address: The cluster's, for errors.
        runs: The folder of run folders, on the nodes.

    Raises:
        StudyFailedError: If the cluster does not take it.
    """
    with tempfile.TemporaryDirectory(prefix="convfleet-") as folder:
        for name, content in shipment.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        environment: dict[str, Any] = {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}}
        if shipment.files:
            environment["working_dir"] = folder
        name = f"{shipment.spec.name}-{secrets.token_hex(3)}"
        with answering(address):
            return str(
                client.submit_job(
                    entrypoint=shipment.command(runs=runs),
                    submission_id=name,
                    runtime_env=environment,
                    metadata={_MARK: "study", "study": shipment.spec.name, "run": f"{runs}/{shipment.spec.name}"},
                )
            )


def job_of(client: Any, name: str, *, address: str) -> Job:
    """Returns a job as it is now.

    Raises:
        InputError: If the cluster has no such job.
        StudyFailedError: If it does not answer.
    """
    with answering(address):
        return _job(client.get_job_info(name))


def jobs_of(client: Any, *, address: str) -> list[Job]:
    """Returns the submitted jobs of a cluster, the latest first.

    Raises:
        StudyFailedError: If it does not answer.
    """
    with answering(address):
        found = [_job(info) for info in client.list_jobs() if info.submission_id]
    return sorted(found, key=lambda job: job.started_at or 0.0, reverse=True)


def log_of(client: Any, name: str, *, address: str) -> str:
    """Returns all that a job has printed.

    Raises:
        InputError: If the cluster has no such job.
        StudyFailedError: If it does not answer.
    """
    with answering(address):
        return str(client.get_job_logs(name))


def stop_and_wait(client: Any, name: str, *, address: str, sleep: Callable[[float], None] = time.sleep) -> Job:
    """Stops a job, which pauses its study, and returns the job once it has ended.

    Args:
        client: As `connected` returns it.
        name: The job's id.
        address: The cluster's, for errors.
        sleep: Waits so many seconds.

    Raises:
        InputError: If the cluster has no such job.
        StudyFailedError: If it does not answer, or the job does not end.
    """
    ask_to_stop(client, name, address=address)
    for _ in range(round((STOP_SECONDS + 30) / _POLL_SECONDS)):
        job = job_of(client, name, address=address)
        if job.has_ended:
            return job
        sleep(_POLL_SECONDS)
    raise StudyFailedError(f"{address}: job {name} was asked to stop and still runs; look at the head's Ray")


def ask_to_stop(client: Any, name: str, *, address: str) -> None:
    """Asks a job to stop, and does not wait for it.

    Raises:
        InputError: If the cluster has no such job.
        StudyFailedError: If it does not answer.
    """
    with answering(address):
        client.stop_job(name)


def end_in_words(job: Job) -> str:
    """Returns what became of a job that has ended, and what to do next.

    Args:
        job: The job.
    """
    where = f"; its run on the nodes: {job.run}" if job.run else ""
    if job.status == "STOPPED":
        return f"job {job.name}: was stopped, and its study pauses then; launch it again to go on{where}"
    if job.status == "SUCCEEDED":
        return f"job {job.name}: done{where}"
    if job.exit_code == _NOT_FOUND:
        return (
            f"job {job.name}: the head has no command {_first(job.command)!r}; install convfleet there, and start Ray "
            "with its environment's bin folder on the PATH"
        )
    if job.exit_code == _PAUSED:
        return f"job {job.name}: was interrupted on the nodes, and its study is paused; launch it again to go on{where}"
    if job.exit_code is None:
        first = job.message.strip().splitlines()
        return f"job {job.name}: did not run to its end ({first[0] if first else 'Ray does not say why'}){where}"
    return f"job {job.name}: ended with exit code {job.exit_code}{where}"


def _first(command: str) -> str:
    words: Sequence[str] = shlex.split(command)
    return words[0] if words else ""


def _job(info: Any) -> Job:
    metadata: Mapping[str, str] = info.metadata or {}
    is_ours = metadata.get(_MARK) == "study"
    return Job(
        name=info.submission_id,
        status=str(getattr(info.status, "value", info.status)),
        exit_code=info.driver_exit_code,
        study=metadata.get("study", "") if is_ours else "",
        run=metadata.get("run", "") if is_ours else "",
        command=info.entrypoint,
        message=info.message or "",
        started_at=None if info.start_time is None else info.start_time / 1000,
        ended_at=None if not info.end_time else info.end_time / 1000,
    )
