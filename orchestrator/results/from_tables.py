"""Answers from the tables: leaderboard, curves, cost. Tables in; tables and plain values out."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.journal.trial import TrialState
from orchestrator.results.ranking import RANKED_STATES, board_key, front_key, rank_key
from orchestrator.results.tables import BREAKS_COLUMN, last_epochs

PARAMETER_PREFIX = "param."
#: Only in the tables of studies with several objectives.
FRONT_COLUMN = "pareto_rank"
OVERHEAD_PREFIX = "overhead_seconds."
_ORIGINAL, _FOLD = "replicate_of", "fold"
_FAILED = (TrialState.INFEASIBLE, TrialState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the trials of a study took.

    Attributes:
        train_seconds: Time in training steps, summed over all trials.
        overhead_seconds: Time of the trials that was not training, by kind, in the order in which it happens.
        trial_epochs: Epochs trained, summed over all trials.
        epochs_saved: Epochs that trials with a result could have trained and did not.
    """

    train_seconds: float
    overhead_seconds: Mapping[str, float]
    trial_epochs: int
    epochs_saved: int


def leaderboard(trials: pa.Table, *, metric: str, mode: str, ties: str = "", k: int | None = None) -> pa.Table:
    """Returns the k best trials that completed or were stopped, best first; all of them without k.

    `ranking` has the order; trials of several objectives have a `pareto_rank`, by which they stand first; those that
    break a constraint come last. The columns
    are those of `trials`, after a `rank` from 1; where trials were trained again, `replicates` and `replicate_mean`
    follow it: how many values each one's replicates have, and their mean.

    >>> trials = pa.table({"trial": ["t0", "t1"], "state": ["completed", "stopped"], "epochs": [9, 3],
    ...                    "best_val_loss": [0.5, 0.2]})
    >>> leaderboard(trials, metric="val_loss", mode="min", k=1).select(["rank", "trial"]).to_pylist()
    [{'rank': 1, 'trial': 't1'}]
    """
    best = f"best_{metric}"
    again, on_folds = (
        _replicate_values(trials, best),
        _FOLD in trials.column_names and trials[_FOLD].null_count < len(trials),
    )
    ranked = trials.filter(pc.and_(_has_state(trials, RANKED_STATES), pc.is_valid(trials[best])))
    ranked = _searched(ranked)
    by = f"best_{ties}"
    tied = ranked[by].to_pylist() if ties and by in ranked.column_names else [0.0] * ranked.num_rows
    columns = ranked[best].to_pylist(), last_epochs(ranked), ranked["trial"].to_pylist()
    keys = [
        board_key(
            rank_key(value, epochs=epochs, name=name, mode=mode, tie=math.inf if tie is None else tie),
            again.get(name, ()),
            mode=mode,
            on_folds=on_folds,
        )
        for value, epochs, name, tie in zip(*columns, tied, strict=True)
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if FRONT_COLUMN in ranked.column_names:
        fronts = ranked[FRONT_COLUMN].to_pylist()
        order.sort(key=lambda at: front_key(fronts[at]))
    if BREAKS_COLUMN in ranked.column_names:
        breaks = ranked[BREAKS_COLUMN].to_pylist()
        order.sort(key=lambda at: breaks[at] is not None)
    board = ranked.take(pa.array(order[:k], pa.int64()))
    if again:
        found = [again.get(name, []) for name in board["trial"].to_pylist()]
        means = [statistics.fmean(values) if len(values) > 1 else None for values in found]
        board = board.add_column(0, "replicate_mean", pa.array(means, pa.float64()))
        board = board.add_column(0, "replicates", pa.array(map(len, found), pa.int32()))
    return board.add_column(0, "rank", pa.array(range(1, board.num_rows + 1), pa.int32()))


def curves(epochs: pa.Table, metric: str) -> dict[str, tuple[list[int], list[float]]]:
    """Returns a metric by epoch for each trial that reported it: epochs ascending, and the values.

    >>> curves(pa.table({"trial": ["t0", "t0"], "epoch": [1, 2], "val_loss": [0.9, 0.7]}), "val_loss")
    {'t0': ([1, 2], [0.9, 0.7])}
    """
    by_trial: dict[str, tuple[list[int], list[float]]] = {}
    if metric not in epochs.column_names:
        return by_trial
    columns = (epochs[name].to_pylist() for name in ("trial", "epoch", metric))
    for trial, epoch, value in zip(*columns, strict=True):
        if value is not None:
            at, values = by_trial.setdefault(trial, ([], []))
            at.append(epoch)
            values.append(value)
    return by_trial


def cost(trials: pa.Table, *, max_epochs: int) -> Cost:
    """Returns what the trials took, and what stopping some of them early saved.

    Args:
        max_epochs: Epochs of a trial that nothing stops.
    """
    # Epochs that another run trained cost this study nothing.
    trials = trials.filter(pc.is_null(trials["reused_from"]))
    kinds = [name for name in trials.column_names if name.startswith(OVERHEAD_PREFIX)]
    # A completed trial saved epochs, too, where its patience ended it.
    ended = trials.filter(_has_state(trials, RANKED_STATES))
    # What another trial took the place of saved nothing.
    if "replaces" in trials.column_names:
        ended = ended.filter(pc.invert(pc.is_in(ended["trial"], pc.unique(trials["replaces"]))))
    return Cost(
        train_seconds=_total(trials["train_seconds"]),
        overhead_seconds={name.removeprefix(OVERHEAD_PREFIX): _total(trials[name]) for name in kinds},
        trial_epochs=int(_total(trials["epochs"])),
        epochs_saved=sum(max(0, max_epochs - epoch) for epoch in last_epochs(ended)),
    )


def stop_reasons(trials: pa.Table) -> pa.Table:
    """Returns the trials that were stopped early (`trial, state, epoch, reason`), in the order of `trials`."""
    stopped = trials.filter(_has_state(trials, (TrialState.STOPPED,)))
    epochs = pa.array(last_epochs(stopped), pa.int32())
    return stopped.select(["trial", "state", "reason"]).add_column(2, "epoch", epochs)


def failures(trials: pa.Table) -> pa.Table:
    """Returns the trials without a usable result (`trial, state, failure_kind, reason`), in the order of `trials`."""
    return trials.filter(_has_state(trials, _FAILED)).select(["trial", "state", "failure_kind", "reason"])


def parameter_columns(trials: pa.Table) -> list[str]:
    """Returns the columns that hold parameters, such as `param.filters`, in order."""
    return [name for name in trials.column_names if name.startswith(PARAMETER_PREFIX)]


def varying_columns(trials: pa.Table) -> list[str]:
    """Returns the parameter columns whose value is not the same in all trials, in order."""
    return [name for name in parameter_columns(trials) if len({str(value) for value in trials[name].to_pylist()}) > 1]


def _searched(trials: pa.Table) -> pa.Table:
    """Returns the trials that are no replicates."""
    return trials.filter(pc.is_null(trials[_ORIGINAL])) if _ORIGINAL in trials.column_names else trials


def _replicate_values(trials: pa.Table, best: str) -> dict[str, list[float]]:
    """Returns the best values of the replicates that completed, by the trial that they train again."""
    found: dict[str, list[float]] = {}
    if _ORIGINAL in trials.column_names:
        completed = trials.filter(_has_state(trials, (TrialState.COMPLETED,)))
        for original, value in zip(completed[_ORIGINAL].to_pylist(), completed[best].to_pylist(), strict=True):
            if original is not None and value is not None:
                found.setdefault(original, []).append(value)
    return found


def _has_state(trials: pa.Table, states: tuple[TrialState, ...]) -> pa.ChunkedArray:
    return pc.is_in(trials["state"], value_set=pa.array([state.value for state in states]))


def _total(column: pa.ChunkedArray) -> float:
    return float(pc.sum(column).as_py() or 0.0)
