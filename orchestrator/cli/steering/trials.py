"""Commands about one trial: stop, keep, star."""

from orchestrator.cli.options import JsonOption
from orchestrator.cli.steering.asking import (
    WAIT_SECONDS,
    SteeredArgument,
    TrialArgument,
    UndoOption,
    WaitOption,
    ask_and_print,
)


def stop(
    run: SteeredArgument, trial: TrialArgument, *, wait: WaitOption = WAIT_SECONDS, as_json: JsonOption = False
) -> None:
    """End a trial after its next report, or at once where it waits; the others go on."""
    from orchestrator.steering.requests import StopTrial

    ask_and_print(run, StopTrial(trial=trial), seconds=wait, as_json=as_json)


def keep(
    run: SteeredArgument,
    trial: TrialArgument,
    *,
    undo: UndoOption = False,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Let a trial go on whatever early stopping says; budgets may still end it."""
    from orchestrator.steering.requests import KeepTrial

    ask_and_print(run, KeepTrial(trial=trial, keep=not undo), seconds=wait, as_json=as_json)


def star(
    run: SteeredArgument,
    trial: TrialArgument,
    *,
    undo: UndoOption = False,
    wait: WaitOption = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Mark a trial with a star, also of a study that is finished or paused."""
    from orchestrator.steering.requests import Star

    ask_and_print(run, Star(trial=trial, starred=not undo), seconds=wait, as_json=as_json)
