"""Rows of the table of studies: a run in a line."""

from typing import Any

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.journal.study_state import search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.results.from_state import (
    best_so_far,
    count_states,
    elapsed_seconds,
    seconds_left,
    session_start,
    spent,
    study_status,
)
from orchestrator.results.words import wanted

#: Columns of numbers of trials, and the states that each counts.
COUNTS = {
    "done": (TrialState.COMPLETED,),
    "stopped": (TrialState.STOPPED,),
    "running": (TrialState.RUNNING,),
    "waiting": (TrialState.WAITING, TrialState.PAUSED, TrialState.HELD),
    "failed": (TrialState.FAILED, TrialState.INFEASIBLE),
}


def study_row(run: FollowedRun) -> dict[str, Any]:
    """Returns a run as a row of the table of studies; one that cannot be read has its problem alone."""
    return run.answer("study row", lambda: _row(run))


def _row(run: FollowedRun) -> dict[str, Any]:
    if not run.is_open:
        return {"run": run.key, "state": "not readable", "problem": run.problem}
    state, header = run.state, run.state.header
    trials = list(search_alone(state).trials.values())
    counts, best = count_states(trials, is_alive=run.is_alive), best_so_far(state)
    train_seconds, num_epochs, num_saved = spent(state)
    left = seconds_left(state, elapsed=max(0.0, state.last_at - session_start(state))) if run.is_alive else None
    return {
        "run": run.key,
        "study": header.study,
        "state": study_status(state, is_alive=run.is_alive),
        "objective": wanted(header),
        "best": best[1].metrics[header.metric] if best else None,
        "best_trial": best[0].name if best else "",
        **{name: sum(counts[item] for item in states) for name, states in COUNTS.items()},
        "planned": header.num_trials,
        "epochs": num_epochs,
        "epochs_saved": num_saved,
        "elapsed": elapsed_seconds(state),
        "left": left,
        "train_seconds": train_seconds,
        "exports": len(state.exports) + len(state.ensembles),
        "tags": ", ".join(state.steering.tags),
        "started": header.at,
        "last": state.last_at,
        "problem": run.problem,
    }
