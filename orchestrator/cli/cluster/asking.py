"""What launch and jobs share: following a job, and what an interruption means."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.console import print_json
from orchestrator.cli.options import EXIT_PAUSED

if TYPE_CHECKING:
    from orchestrator.cluster.jobs.job import Job

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="The cluster's dashboard, such as http://127.0.0.1:8265.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as launch and jobs list print it.")]


def follow_job(client: Any, name: str, *, address: str, seen_at: str, as_json: bool) -> None:
    """Shows what a job prints until it ends, and ends with its exit code.

    Args:
        client: As `connected` returns it.
        name: The job's id.
        address: The cluster's.
        seen_at: Where the cluster is seen when this command has ended.
        as_json: Whether one JSON document is printed at the end; the job's output goes to standard error then.
    """
    from orchestrator.cluster.jobs.following import Followed, followed_to_the_end
    from orchestrator.cluster.jobs.job import ask_to_stop, end_in_words

    followed, output = Followed(client, name, address=address), sys.stderr if as_json else sys.stdout

    def write(text: str) -> None:
        output.write(text)
        output.flush()

    def on_interrupt() -> bool:
        answer = _answer()
        if answer == "p":
            ask_to_stop(client, name, address=address)
            print("pausing the study on the cluster", file=sys.stderr)
        return answer != "d"

    with _interruptible():
        has_ended = followed_to_the_end(followed, write=write, on_interrupt=on_interrupt)
    job = followed.job()
    if as_json:
        print_json(job_json(job, address=address))
    if not has_ended or not job.has_ended:
        print(
            f"job {name} goes on without this command; convfleet jobs logs ADDRESS {name} --follow shows it again, and "
            f"convfleet jobs stop ADDRESS {name} pauses its study; ADDRESS is {seen_at}",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_PAUSED)
    print(end_in_words(job), file=sys.stderr)
    raise typer.Exit(job.code)


def job_json(job: "Job", *, address: str) -> dict[str, object]:
    """Returns a JSON-ready mapping of a job.

    Args:
        job: The job.
        address: The cluster's.
    """
    found = asdict(job)
    return {"address": address, "job": found.pop("name"), **found}


def _answer() -> str:
    """Returns what an interruption means: d (leave the job alone), p (pause its study) or w (watch on)."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "d"
    print(
        "\nthe job goes on by itself. d: leave it alone, p: pause its study, w: watch on [d] ", end="", file=sys.stderr
    )
    sys.stderr.flush()
    try:
        given = sys.stdin.readline().strip().lower()[:1]
    except KeyboardInterrupt:
        return "d"
    return given if given in ("p", "w") else "d"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes SIGTERM mean what Ctrl-C means; also where this process was started to ignore Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
