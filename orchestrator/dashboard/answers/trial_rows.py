"""Rows of the table of trials: a trial in a line, with every parameter, metric and cost."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.journal.trial import Trial, num_moves
from orchestrator.results.from_state import placed, state_of, varying_parameters
from orchestrator.text import number
from trainables.reports import COSTS

PARAMETER = "param."
METRIC = "metric."


@dataclass(frozen=True, slots=True, kw_only=True)
class GridColumn:
    """A column of the table of trials.

    Attributes:
        field: Its name in rows.
        title: What readers see.
        is_number: Whether it is sorted and filtered as numbers.
        is_shown: Whether it is shown unless the reader chooses otherwise.
    """

    field: str
    title: str
    is_number: bool = False
    is_shown: bool = True


class ChangedTrials:
    """The rows of a run's trials that differ from those that a page has.

    Args:
        run: Whose trials they are; the page has, or fetches, its rows of now.
    """

    def __init__(self, run: FollowedRun) -> None:
        self._run = run
        self._shown = {row["trial"]: row for row in trial_grid_rows(run)}

    def since_last(self) -> list[dict[str, Any]]:
        """Returns the rows that are new, or not as they were the last time."""
        rows = trial_grid_rows(self._run)
        # Not by the trials that the journal names: a trial that ends moves others' ranks, and a driver dies unrecorded.
        changed = [row for row in rows if self._shown.get(row["trial"]) != row]
        self._shown = {row["trial"]: row for row in rows}
        return changed


def trial_columns(run: FollowedRun) -> list[GridColumn]:
    """Returns the columns of a run's trials: what readers look for first comes first."""
    return run.answer("trial columns", lambda: _columns(run))


def trial_grid_rows(run: FollowedRun) -> list[dict[str, Any]]:
    """Returns a row a trial, in the order in which they were proposed."""
    return run.answer("trial rows", lambda: _rows(run, run.state.trials.values()))


def ranks_of(run: FollowedRun) -> dict[str, int]:
    """Returns the rank of each trial with a result, from 1."""
    return run.answer("ranks", lambda: {item.trial.name: rank for rank, item in enumerate(placed(run.state), start=1)})


def _columns(run: FollowedRun) -> list[GridColumn]:
    state, trials = run.state, list(run.state.trials.values())
    header, varying = state.header, set(varying_parameters(trials))
    params = dict.fromkeys(name for trial in trials for name in trial.variant.params)
    metrics = dict.fromkeys(name for trial in trials for report in trial.reports[:1] for name in report.metrics)
    goals = [goal.metric for goal in header.goals]
    shown_costs = {name for name in goals if name in COSTS} | {"parameters"}
    return [
        GridColumn(field="trial", title="trial"),
        GridColumn(field="star", title="star", is_shown=False),
        GridColumn(field="state", title="state"),
        GridColumn(field="rank", title="rank", is_number=True),
        *(GridColumn(field=f"{METRIC}{name}", title=name, is_number=True) for name in goals if name not in COSTS),
        GridColumn(field="best_epoch", title="best epoch", is_number=True, is_shown=False),
        GridColumn(field="epochs", title="epochs", is_number=True),
        GridColumn(field="train_seconds", title="train seconds", is_number=True),
        *(GridColumn(field=name, title=name, is_number=True, is_shown=name in shown_costs) for name in COSTS),
        GridColumn(field="family", title="family", is_shown="family" in params or _differ(trials)),
        *(_parameter(name, trials=trials, is_shown=name in varying) for name in params),
        *(
            GridColumn(field=f"{METRIC}{name}", title=name, is_number=True, is_shown=False)
            for name in metrics
            if name not in goals
        ),
        GridColumn(field="reason", title="reason", is_shown=False),
        GridColumn(field="notes", title="notes", is_shown=False),
        GridColumn(field="node", title="node", is_shown=False),
        GridColumn(field="device", title="device", is_shown=False),
        GridColumn(field="losses", title="workers lost", is_number=True, is_shown=False),
        GridColumn(field="parent", title="goes on from", is_shown=any(trial.parent for trial in trials)),
        GridColumn(field="replicate_of", title="replicate of", is_shown=any(trial.replicate_of for trial in trials)),
        GridColumn(field="started", title="started", is_number=True, is_shown=False),
        GridColumn(field="ended", title="ended", is_number=True, is_shown=False),
    ]


def _differ(trials: Iterable[Trial]) -> bool:
    return len({trial.variant.family for trial in trials}) > 1


def _parameter(name: str, *, trials: Iterable[Trial], is_shown: bool) -> GridColumn:
    values = (trial.variant.params.get(name) for trial in trials)
    is_number = all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
    )
    return GridColumn(field=f"{PARAMETER}{name}", title=name, is_number=is_number, is_shown=is_shown)


def _rows(run: FollowedRun, trials: Iterable[Trial]) -> list[dict[str, Any]]:
    ranks = ranks_of(run)
    return [_row(trial, run=run, rank=ranks.get(trial.name)) for trial in list(trials)]


def _row(trial: Trial, *, run: FollowedRun, rank: int | None) -> dict[str, Any]:
    best = trial.best_report(**run.state.header.ranking)
    worker = trial.worker
    return {
        "trial": trial.name,
        "state": state_of(trial, is_alive=run.is_alive).value,
        "star": "★" if trial.steering.is_starred else "",
        "rank": rank,
        "best_epoch": best.epoch if best else None,
        "epochs": trial.num_epochs,
        "train_seconds": sum(report.train_seconds for report in trial.reports),
        "family": trial.variant.family,
        "reason": trial.reason,
        "notes": _notes(trial),
        "node": str(worker.get("node", "")),
        "device": _device(worker),
        "losses": len(trial.losses) - num_moves(trial),
        "parent": f"{trial.parent} at epoch {trial.from_epoch}" if trial.parent else "",
        "replicate_of": trial.replicate_of,
        "started": trial.started_at[0] if trial.started_at else None,
        "ended": trial.ended_at,
        **_costs(trial),
        **{f"{METRIC}{name}": _finite(value) for name, value in (best.metrics if best else {}).items()},
        **{f"{PARAMETER}{name}": _plain(value) for name, value in trial.variant.params.items()},
    }


def _costs(trial: Trial) -> dict[str, float]:
    cost = trial.reports[0].cost if trial.reports else {}
    return {name: cost[name] for name in COSTS if name in cost}


def _notes(trial: Trial) -> str:
    texts = [item.text for item in trial.steering.annotations] + [note.text for note in trial.notes]
    return " | ".join(texts)


def _device(worker: Mapping[str, Any]) -> str:
    gpus = ",".join(worker.get("gpu_ids") or [])
    return f"gpu {gpus}" if gpus else f"cores {worker['cores']}" if worker.get("cores") else ""


def _plain(value: Any) -> Any:
    if isinstance(value, bool | list | tuple | dict):
        return number(value)
    return _finite(value) if isinstance(value, float) else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
