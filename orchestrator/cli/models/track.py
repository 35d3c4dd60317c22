"""The command that sends a run to trackers."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, RunArgument
from orchestrator.cli.runs import local_run
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.runs.paths import RunFolder
    from orchestrator.trackers.tracking import TrackerProgress, Tracking


def track(
    run: RunArgument,
    *,
    to: Annotated[list[str], typer.Option("--to", metavar="TRACKER", help="tensorboard, mlflow or wandb; repeatable.")],
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="FOLDER", help="Where TensorBoard's files go; default: RUN/tensorboard."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on while a driver is at work on the run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send a run to TensorBoard, MLflow or Weights & Biases: each event once, afterwards or while it runs."""
    from contextlib import ExitStack

    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.runs.foreign_files import refuse_foreign_files
    from orchestrator.study.loading import load_space
    from orchestrator.trackers.beside import follow_beside, is_beside
    from orchestrator.trackers.cursor import one_sender
    from orchestrator.trackers.tracking import Tracking

    names = list(dict.fromkeys(to))
    _demand(run, names, folder=folder, follow=follow)
    run_folder = open_run_folder(local_run(run, with_files="mlflow" in names))
    if is_beside():
        follow_beside(run_folder, names, notify=_note)
        return
    load_state(run_folder)
    if "mlflow" in names:
        # It gets the files of an export: none of them may be a link to something else.
        refuse_foreign_files(run_folder)
    space = load_space(run_folder.study) if "tensorboard" in names else None
    opened = {name: partial(Tracking, run_folder, tracker=name, space=space, to=folder) for name in names}
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(one_sender(run_folder, tracker=name))
        progress = _followed(run_folder, opened) if follow else _once(opened)
    _show(progress, as_json=as_json)


def _demand(run: str, names: Sequence[str], *, folder: Path | None, follow: bool) -> None:
    """Checks what the user asks for, all of it at once."""
    # Late: `--help` needs neither.
    from orchestrator.trackers.tracking import tracker_problem
    from trainables.files.uris import is_uri

    problems = [f"--to: {problem}" for name in names if (problem := tracker_problem(name))]
    if folder is not None and "tensorboard" not in names:
        problems.append(f"--dir: only TensorBoard writes a folder, got {str(folder)!r} without --to tensorboard")
    if follow and is_uri(run):
        problems.append(f"--follow: needs the run folder that a driver writes, got {run!r}; call it on that machine")
    if problems:
        raise InputError("\n".join(problems))


def _once(opened: "Mapping[str, Callable[[], Tracking]]") -> "list[TrackerProgress]":
    # Late, as above.
    from orchestrator.trackers.following import once

    return once(opened)


def _followed(run_folder: "RunFolder", opened: "Mapping[str, Callable[[], Tracking]]") -> "list[TrackerProgress]":
    # Late, as above.
    from orchestrator.runs.lock import is_driver_alive
    from orchestrator.trackers.following import follow

    return follow(
        opened,
        is_over=lambda: not is_driver_alive(run_folder),
        wait=time.sleep,
        clock=time.monotonic,
        notify=_note,
    )


def _note(text: str) -> None:
    print(f"note: {text}; trying again", file=sys.stderr, flush=True)


def _show(progress: "Sequence[TrackerProgress]", *, as_json: bool) -> None:
    # Late, as above.
    from orchestrator.views.terminal.facts import print_fact

    if as_json:
        print_json([asdict(item) for item in progress])
        return
    console = make_console()
    for item in progress:
        print(f"{item.tracker}: has {item.records:,} records of the journal, {item.new_epochs:,} epochs of them new")
        print_fact(console, "place", item.place)
        if item.next_step:
            print_fact(console, "next", item.next_step)
