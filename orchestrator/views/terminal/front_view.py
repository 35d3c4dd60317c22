"""The front of a study with several objectives: what the terminal and the JSON document say of it."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import front_of, hypervolumes
from orchestrator.results.ranking import BROKEN, Placed
from orchestrator.text import number
from orchestrator.views.terminal.facts import print_fact

#: Trials of the front that a line names.
_MOST_NAMES = 8
#: The mark of a trial on the front.
ON_FRONT = "*"


def plain_ranks(board: Sequence[Placed]) -> list[str]:
    """Returns the ranks of a leaderboard as shown: trials on the front and those that break a constraint are marked."""
    marks = [BROKEN if item.broken else ON_FRONT if item.front == 1 else "" for item in board]
    return [f"{rank}{mark}" for rank, mark in enumerate(marks, start=1)]


def print_front(console: Console, state: StudyState) -> None:
    """Prints which trials are on the front, and the hypervolume; nothing with one objective."""
    front, volumes = front_of(state), hypervolumes(state)
    if not front or volumes is None:
        return
    names = ", ".join(item.trial.name for item in front[:_MOST_NAMES])
    more = f" and {len(front) - _MOST_NAMES} more" if len(front) > _MOST_NAMES else ""
    print_fact(console, "front", f"{names}{more} ({ON_FRONT}): no trial is better in one objective and none worse")
    corner = ", ".join(
        f"{goal.metric} {number(value)}" for goal, value in zip(state.header.goals, volumes.reference, strict=True)
    )
    print_fact(console, "volume", f"{number(volumes.volumes[-1])}, the hypervolume of the front from {corner}")


def front_json(state: StudyState) -> dict[str, Any]:
    """Returns the objectives, the front and the hypervolume, JSON-ready; nothing with one objective."""
    goals = state.header.goals
    if len(goals) == 1:
        return {}
    names, volumes = [goal.metric for goal in goals], hypervolumes(state)
    return {
        "objectives": [goal.to_json() for goal in goals],
        "front": [
            {
                "trial": item.trial.name,
                "epoch": item.report.epoch,
                "values": dict(zip(names, item.values, strict=True)),
                "variant_id": item.trial.variant.variant_id,
            }
            for item in front_of(state)
        ],
        "hypervolume": None
        if volumes is None
        else {
            "value": volumes.volumes[-1],
            "reference": dict(zip(names, volumes.reference, strict=True)),
            "trials": volumes.trials,
            "after_each": volumes.volumes,
        },
    }
