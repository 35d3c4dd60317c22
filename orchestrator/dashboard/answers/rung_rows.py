"""Rows of the table of rungs: a trial that stood at a rung in a line."""

from typing import Any

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.settings import policy_of
from orchestrator.history.rung_table import RungTable, rung_table


def rungs_of(run: FollowedRun) -> RungTable | None:
    """Returns the rungs of a run as they are now; None where its study file cannot be read."""
    return run.answer("rungs", lambda: rung_table(run.state, spec=policy_of(run)))


def rung_rows(run: FollowedRun) -> list[dict[str, Any]]:
    """Returns a row a trial and rung, in the order in which trials came there."""
    table = rungs_of(run)
    entries = table.entries if table else []
    return [
        {
            "id": f"{entry.trial} {entry.bracket} {entry.milestone:g}",
            "trial": entry.trial,
            "bracket": entry.bracket,
            "milestone": entry.milestone,
            "value": entry.value,
            "rank": entry.rank,
            "num_there": entry.num_there,
            "cutoff": entry.cutoff,
            "outcome": entry.outcome,
            "reason": entry.reason,
            "at": entry.at,
        }
        for entry in sorted(entries, key=lambda entry: entry.place)
    ]
