"""Commands for jobs of a cluster, from anywhere that its dashboard can be reached: jobs list, status, logs, stop."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestrator.cli.cluster.asking import AddressArgument, JobArgument, follow_job, job_json
from orchestrator.cli.console import print_json
from orchestrator.cli.options import JsonOption
from orchestrator.errors import StudyFailedError

_LAST_LINES = 8


def list_jobs(address: AddressArgument, *, as_json: JsonOption = False) -> None:
    """List the jobs of a cluster, the latest first."""
    from orchestrator.cluster.jobs.client import connected, http_address
    from orchestrator.cluster.jobs.job import jobs_of

    place = http_address(address)
    jobs = jobs_of(connected(place), address=place)
    if as_json:
        print_json([job_json(job, address=place) for job in jobs])
        return
    for job in jobs:
        code = "" if job.exit_code is None else f" (exit code {job.exit_code})"
        print(f"{job.name}  {job.status.lower()}{code}  {_moment(job.started_at)}  {job.run or job.command}")
    if not jobs:
        print("no jobs were submitted yet; convfleet launch STUDY --on ADDRESS submits one")


def show_job(address: AddressArgument, job: JobArgument, *, as_json: JsonOption = False) -> None:
    """Show a job: its state, its run folder on the nodes, the last lines that it printed."""
    from orchestrator.cluster.jobs.client import connected, http_address
    from orchestrator.cluster.jobs.job import job_of, log_of

    place = http_address(address)
    client = connected(place)
    found, log = job_of(client, job, address=place), log_of(client, job, address=place)
    lines = log.splitlines()[-_LAST_LINES:]
    if as_json:
        print_json({**job_json(found, address=place), "last_lines": lines})
        return
    code = "" if found.exit_code is None else f", exit code {found.exit_code}"
    print(f"{found.name}: {found.status.lower()}{code}")
    ended = "" if found.ended_at is None else f", ended {_moment(found.ended_at)}"
    for name, value in (
        ("study", found.study),
        ("run", found.run),
        ("command", found.command),
        ("time", f"began {_moment(found.started_at)}{ended}"),
    ):
        if value:
            print(f"  {name:<8} {value}")
    for line in lines:
        print(f"  | {line}")


def logs(
    address: AddressArgument,
    job: JobArgument,
    *,
    is_followed: Annotated[bool, typer.Option("--follow", help="Go on until the job ends; exit as it does.")] = False,
) -> None:
    """Show what a job has printed."""
    from orchestrator.cluster.jobs.client import connected, http_address
    from orchestrator.cluster.jobs.job import job_of, log_of

    place = http_address(address)
    client = connected(place)
    job_of(client, job, address=place)
    if is_followed:
        follow_job(client, job, address=place, seen_at=place, as_json=False)
    sys.stdout.write(log_of(client, job, address=place))


def stop_job(address: AddressArgument, job: JobArgument, *, as_json: JsonOption = False) -> None:
    """Stop a job: its study pauses, and goes on when it is launched again."""
    from orchestrator.cluster.jobs.client import connected, http_address
    from orchestrator.cluster.jobs.job import end_in_words, job_of, stop_and_wait

    place = http_address(address)
    client = connected(place)
    if job_of(client, job, address=place).has_ended:
        raise StudyFailedError(f"{place}: {end_in_words(job_of(client, job, address=place))}; nothing is left to stop")
    found = stop_and_wait(client, job, address=place, sleep=time.sleep)
    if as_json:
        print_json(job_json(found, address=place))
    else:
        print(end_in_words(found))


def _moment(at: float | None) -> str:
    return "not yet" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


jobs_app = typer.Typer(
    help="Jobs of a Ray cluster, over its dashboard's address: list, look, follow, stop.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for _name, _command, _example in (
    ("list", list_jobs, "list http://127.0.0.1:8265"),
    ("status", show_job, "status http://127.0.0.1:8265 flowers-1a2b3c"),
    ("logs", logs, "logs http://127.0.0.1:8265 flowers-1a2b3c --follow"),
    ("stop", stop_job, "stop http://127.0.0.1:8265 flowers-1a2b3c"),
):
    jobs_app.command(_name, epilog=f"Example: convfleet jobs {_example}")(_command)
