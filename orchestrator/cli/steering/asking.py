"""How the commands of this room ask a study, and print its answer."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import print_json
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.steering.requests import Request

SteeredArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder such as runs/quickstart, which its driver uses.")
]
TrialArgument = Annotated[str, typer.Argument(metavar="TRIAL", help="Such as t0007.")]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, max=3600, help="How long to wait for the driver's answer.")
]
UndoOption = Annotated[bool, typer.Option("--undo", help="Take it back.")]
WAIT_SECONDS = 10.0


def ask_and_print(run: str, request: "Request", *, seconds: float, as_json: bool) -> None:
    """Asks something of a study and prints the answer.

    Args:
        run: The run folder, as the user wrote it.
        request: What is asked for.
        seconds: How long to wait for the driver at most.
        as_json: Whether one JSON document is printed in place of a sentence.

    Raises:
        InputError: If it is refused, with the reason and what to do instead.
    """
    from pathlib import Path

    from orchestrator.runs.folder import open_run_folder
    from orchestrator.steering.steer import steer
    from trainables.files.uris import is_uri

    if is_uri(run):
        raise InputError(
            f"{run}: a URI names a run in a storage, and a driver looks for requests in its own folder; give that "
            "folder, on the machine of the driver"
        )
    answer = steer(open_run_folder(Path(run)), request, seconds=seconds)
    if not answer.is_done and not answer.is_waiting:
        raise InputError(answer.text)
    if as_json:
        print_json({"is_done": answer.is_done, "is_waiting": answer.is_waiting, "text": answer.text})
    else:
        print(answer.text)
