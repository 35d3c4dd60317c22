"""Makes trials.parquet and epochs.parquet from a study's state."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, num_moves
from orchestrator.pareto.constraints import broken_by, in_words
from orchestrator.pareto.goals import Goal
from orchestrator.results.ranking import RANKED_STATES, fronts_of, known_values
from orchestrator.runs.paths import RunFolder
from orchestrator.text import encodable
from trainables.files.whole import write_whole
from trainables.reports import EpochReport
from trainables.specs.targets import AVERAGES

SCHEMA_VERSION = 1
#: Key of the Parquet metadata that says how many journal records a table holds.
RECORDS_KEY = b"convfleet.journal_records"
#: Key of the Parquet metadata that says, as JSON by kind of target and metric, what a metric is an average of.
AVERAGES_KEY = b"convfleet.metric_averages"
_SCHEMA_KEY = b"convfleet.schema"

#: Kinds of overhead, in the order in which they happen.
OVERHEAD_KINDS = ("start", "import", "data", "build", "trace", "validate", "checkpoint", "report", "idle", "other")
#: What a variant costs, with the columns' types.
COST_TYPES = {
    "parameters": pa.int64(),
    "multiply_adds": pa.int64(),
    "memory_mb": pa.float64(),
    "latency_ms": pa.float64(),
}
_TIME = pa.timestamp("us", tz="UTC")
_AVERAGES = json.dumps({kind: dict(averages) for kind, averages in AVERAGES.items()})
#: Only in the tables of studies with constraints: those that a trial does not keep to.
BREAKS_COLUMN = "breaks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one of the tables, of trials that follow one another.

    Attributes:
        count: How many rows.
        groups: Columns by name, in groups that give the order of the table's columns; metrics are a group of their own.
        params: The values of each parameter; a column's type follows from the values of all trials of the study.
    """

    count: int
    groups: Sequence[Mapping[str, pa.Array]]
    params: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def trial_rows(trials: Sequence[Trial], *, header: StudyOpened) -> Rows:
    """Returns one row a trial, in their order."""
    metrics = {name: _floats(_last_metric(trial, name) for trial in trials) for name in metric_names(trials)}
    params = _ordered_union(trial.variant.params for trial in trials)
    return Rows(
        count=len(trials),
        groups=(_identity(trials), _outcome(trials, header=header), metrics, _circumstances(trials)),
        params={name: [trial.variant.params.get(name) for trial in trials] for name in params},
    )


def epoch_rows(trials: Sequence[Trial]) -> Rows:
    """Returns one row a report, by trial, then epoch."""
    rows = [
        (trial.name, report, at)
        for trial in trials
        for report, at in zip(trial.reports, trial.reported_at, strict=True)
    ]
    key = {
        "trial": _strings(name for name, _, _ in rows),
        "epoch": pa.array([report.epoch for _, report, _ in rows], pa.int32()),
    }
    metrics = {name: _floats(report.metrics.get(name) for _, report, _ in rows) for name in metric_names(trials)}
    rest = {
        "train_seconds": _floats(report.train_seconds for _, report, _ in rows),
        "images_per_second": _floats(report.images_per_second for _, report, _ in rows),
        "at": _times(at for _, _, at in rows),
    }
    return Rows(count=len(rows), groups=(key, metrics, rest))


def joined_trials(blocks: Sequence[Rows], *, num_records: int, goals: Sequence[Goal] = ()) -> pa.Table:
    """Returns the trials' table from one block of `trial_rows` or more.

    Args:
        num_records: How many records of the journal the table holds.
        goals: The objectives; several of them add `pareto_rank`, which depends on all trials.
    """
    identity, outcome, metrics, circumstances = (_joined(blocks, group=at) for at in range(4))
    params = {f"param.{name}": _param(blocks, name) for name in _ordered_union(block.params for block in blocks)}
    fronts: dict[str, pa.Array] = {}
    if len(goals) > 1:
        originals = circumstances["replicate_of"].to_pylist()
        # Replicates stand for the trials that they train again, and are on no front of their own.
        states = [
            state if original is None else ""
            for state, original in zip(identity["state"].to_pylist(), originals, strict=True)
        ]
        fronts = _fronts(states, outcome, goals=goals)
    columns = {**identity, **params, **outcome, **fronts, **_by_split(metrics), **circumstances}
    return _table(columns, num_records=num_records)


def joined_epochs(blocks: Sequence[Rows], *, num_records: int) -> pa.Table:
    """Returns the epochs' table from one block of `epoch_rows` or more.

    Args:
        num_records: How many records of the journal the table holds.
    """
    key, metrics, rest = (_joined(blocks, group=at) for at in range(3))
    return _table({**key, **_by_split(metrics), **rest}, num_records=num_records)


def trials_table(state: StudyState) -> pa.Table:
    """Returns one row a trial, in the order they were proposed (columns: see `docs/reference/tables`)."""
    rows = trial_rows(list(state.trials.values()), header=state.header)
    return joined_trials([rows], num_records=state.num_records, goals=state.header.goals)


def epochs_table(state: StudyState) -> pa.Table:
    """Returns one row a report, by trial, then epoch (columns: see `docs/reference/tables`)."""
    return joined_epochs([epoch_rows(list(state.trials.values()))], num_records=state.num_records)


def outcomes_table(state: StudyState) -> pa.Table:
    """Returns the columns of `trials_table` that a leaderboard and a cost follow from, in half the time."""
    trials = list(state.trials.values())
    columns = {
        "trial": _strings(trial.name for trial in trials),
        "state": _strings(trial.state.value for trial in trials),
        **_outcome(trials, header=state.header),
        **_circumstances(trials),
    }
    return _table(columns, num_records=state.num_records)


def write_tables(folder: RunFolder, *, trials: pa.Table, epochs: pa.Table) -> None:
    """Writes both tables, each whole; the epochs first, so that no trial is ahead of its epochs."""
    for path, table in ((folder.epochs, epochs), (folder.trials, trials)):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_whole(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> pa.Table:
    """Returns a table from disk, also while another process replaces the file."""
    # Opened once: given a path, Arrow opens it again for the data, and that may be a newer file than the schema's. By
    # Arrow: its threads may still hold one of Python's files as the process ends, which aborts it then.
    with pa.OSFile(str(path)) as file:
        return pq.read_table(file)


def read_tables(folder: RunFolder) -> tuple[pa.Table, pa.Table]:
    """Returns the trials and the epochs of one and the same moment, also while a driver replaces both files.

    `write_tables` writes the epochs first and this function reads the trials first, so the epochs are as new as the
    trials or newer; epochs that the trials do not count yet are left out.
    """
    trials, epochs = read_table(folder.trials), read_table(folder.epochs)
    known = dict(zip(trials["trial"].to_pylist(), last_epochs(trials), strict=True))
    rows = zip(epochs["trial"].to_pylist(), epochs["epoch"].to_pylist(), strict=True)
    return trials, epochs.filter(pa.array([epoch <= known.get(trial, 0) for trial, epoch in rows], pa.bool_()))


def last_epochs(trials: pa.Table) -> list[int]:
    """Returns the last epoch of each trial: `epochs` counts from that of the checkpoint which it began from."""
    counts = trials["epochs"].to_pylist()
    # Tables of earlier versions lack the column.
    begins = trials["from_epoch"].to_pylist() if "from_epoch" in trials.column_names else [None] * len(counts)
    return [(begin or 0) + count for begin, count in zip(begins, counts, strict=True)]


def metric_names(trials: Iterable[Trial]) -> list[str]:
    """Returns the names of all reported metrics: training first, then validation."""
    names = {name for trial in trials for report in trial.reports for name in report.metrics}
    return sorted(names, key=_by_split_then_name)


def _table(columns: dict[str, Any], *, num_records: int) -> pa.Table:
    metadata = {_SCHEMA_KEY: str(SCHEMA_VERSION), RECORDS_KEY: str(num_records), AVERAGES_KEY: _AVERAGES}
    return pa.table(columns).replace_schema_metadata(metadata)


def _identity(trials: Sequence[Trial]) -> dict[str, pa.Array]:
    return {
        "trial": _strings(trial.name for trial in trials),
        "variant_id": _strings(trial.variant.variant_id for trial in trials),
        "state": _strings(trial.state.value for trial in trials),
        "reason": _strings(trial.reason or None for trial in trials),
        "failure_kind": _strings(trial.failure.kind if trial.failure else None for trial in trials),
        "family": _strings(trial.variant.family for trial in trials),
        "seed": pa.array([trial.variant.seed for trial in trials], pa.int64()),
    }


def _outcome(trials: Sequence[Trial], *, header: StudyOpened) -> dict[str, pa.Array]:
    best = [trial.best_report(**header.ranking) for trial in trials]
    return {
        **{name: _costs(trials, name) for name in COST_TYPES},
        "epochs": pa.array([trial.num_epochs for trial in trials], pa.int32()),
        "best_epoch": pa.array([report.epoch if report else None for report in best], pa.int32()),
        **{
            f"best_{name}": _floats(report.metrics.get(name) if report else None for report in best)
            for name in dict.fromkeys(filter(None, (*_metrics(header.goals), header.ties)))
        },
        **({BREAKS_COLUMN: _breaks(trials, best, header=header)} if header.constraints else {}),
    }


def _breaks(trials: Sequence[Trial], best: Sequence[EpochReport | None], *, header: StudyOpened) -> pa.Array:
    """Returns the constraints that each trial breaks with its best report; null where it keeps to all."""
    conditions = header.conditions
    broken = (
        broken_by(known_values(trial, report), conditions) if report is not None else []
        for trial, report in zip(trials, best, strict=True)
    )
    return _strings("; ".join(map(in_words, found)) or None for found in broken)


def _metrics(goals: Sequence[Goal]) -> list[str]:
    """Returns the metrics of the objectives, the main one first; costs have columns of their own."""
    return [goal.metric for goal in goals if goal.metric not in COST_TYPES]


def _fronts(states: Sequence[str], outcome: Mapping[str, Any], *, goals: Sequence[Goal]) -> dict[str, pa.Array]:
    names = [goal.metric if goal.metric in COST_TYPES else f"best_{goal.metric}" for goal in goals]
    values = zip(*(outcome[name].to_pylist() for name in names), strict=True)
    breaks = outcome[BREAKS_COLUMN].to_pylist() if BREAKS_COLUMN in outcome else [None] * len(states)
    rows = [
        row if state in RANKED_STATES and broken is None else [None]
        for state, row, broken in zip(states, values, breaks, strict=True)
    ]
    return {"pareto_rank": pa.array(fronts_of(rows, goals=goals), pa.int32())}


def _circumstances(trials: Sequence[Trial]) -> dict[str, pa.Array]:
    return {
        "train_seconds": _floats(sum(report.train_seconds for report in trial.reports) for trial in trials),
        **{
            f"overhead_seconds.{kind}": _floats(
                sum(report.overhead_seconds.get(kind, 0.0) for report in trial.reports) for trial in trials
            )
            for kind in OVERHEAD_KINDS
        },
        "node": _strings(trial.worker.get("node") for trial in trials),
        "node_type": _strings(trial.worker.get("node_type") for trial in trials),
        "worker_pid": pa.array([trial.worker.get("worker_pid") for trial in trials], pa.int64()),
        "cpus": _floats(trial.worker.get("cpus") for trial in trials),
        "gpus": _floats(trial.worker.get("gpus") for trial in trials),
        "gpu_ids": pa.array([trial.worker.get("gpu_ids") for trial in trials], pa.list_(pa.string())),
        "worker_memory_mb": _floats(trial.worker.get("memory_mb") for trial in trials),
        "workers_lost": pa.array([len(trial.losses) - num_moves(trial) for trial in trials], pa.int32()),
        "moves": pa.array([num_moves(trial) for trial in trials], pa.int32()),
        "notes": pa.array([[note.text for note in trial.notes] for trial in trials], pa.list_(pa.string())),
        "replicate_of": _strings(trial.replicate_of or None for trial in trials),
        "fold": pa.array([trial.fold or None for trial in trials], pa.int32()),
        "reused_from": _strings(trial.reused_from or None for trial in trials),
        "parent": _strings(trial.parent or None for trial in trials),
        "from_epoch": pa.array([trial.from_epoch or None for trial in trials], pa.int32()),
        "replaces": _strings(trial.replaces or None for trial in trials),
        "started_at": _times(trial.started_at[0] if trial.started_at else None for trial in trials),
        "ended_at": _times(trial.ended_at for trial in trials),
    }


def _last_metric(trial: Trial, name: str) -> float | None:
    return trial.reports[-1].metrics.get(name) if trial.reports else None


def _joined(blocks: Sequence[Rows], *, group: int) -> dict[str, pa.ChunkedArray]:
    """Returns a group's columns, one block after another; nulls for a block that lacks the column."""
    groups = [block.groups[group] for block in blocks]
    columns: dict[str, pa.ChunkedArray] = {}
    for name in _ordered_union(groups):
        kind = next(held[name].type for held in groups if name in held)
        chunks = [
            held[name] if name in held else pa.nulls(block.count, kind)
            for block, held in zip(blocks, groups, strict=True)
        ]
        columns[name] = pa.chunked_array(chunks, kind)
    return columns


def _param(blocks: Sequence[Rows], name: str) -> pa.Array:
    return _values([value for block in blocks for value in block.params.get(name, [None] * block.count)])


def _by_split(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    return {name: columns[name] for name in sorted(columns, key=_by_split_then_name)}


def _by_split_then_name(metric: str) -> tuple[bool, str]:
    return metric.startswith("val_"), metric


def _costs(trials: Sequence[Trial], name: str) -> pa.Array:
    values = [trial.reports[0].cost.get(name) if trial.reports else None for trial in trials]
    is_count = pa.types.is_integer(COST_TYPES[name])
    return pa.array([int(value) if is_count and value is not None else value for value in values], COST_TYPES[name])


def _strings(values: Iterable[str | None]) -> pa.Array:
    return pa.array([None if value is None else encodable(value) for value in values], pa.string())


def _floats(values: Iterable[float | None]) -> pa.Array:
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _times(values: Iterable[float | None]) -> pa.Array:
    return pa.array([None if value is None else datetime.fromtimestamp(value, UTC) for value in values], _TIME)


def _values(values: Sequence[Any]) -> pa.Array:
    """Returns a column of parameter values; values without a common Arrow type become JSON texts."""
    listed = [list(value) if isinstance(value, tuple) else value for value in values]
    kinds = {type(value) for value in listed if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        try:
            return pa.array(listed, pa.float64() if float in kinds else None)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # lists of unlike values become JSON texts below
    return _strings(None if value is None else json.dumps(value) for value in listed)


def _ordered_union(mappings: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
