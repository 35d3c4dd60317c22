"""From the journal's state to trials.parquet and epochs.parquet."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.paths import RunFolder, write_whole
from orchestrator.trial import StudyState, Trial

SCHEMA_VERSION = 1
#: Key of the Parquet metadata that says how many journal records a table holds.
RECORDS_KEY = b"convfleet.journal_records"
_SCHEMA_KEY = b"convfleet.schema"

#: Kinds of overhead, in the order they happen.
OVERHEAD_KINDS = ("start", "import", "data", "build", "trace", "validate", "checkpoint", "report", "idle", "other")
#: What a variant costs, with the columns' types.
COSTS = {"parameters": pa.int64(), "multiply_adds": pa.int64(), "memory_mb": pa.float64(), "latency_ms": pa.float64()}
_TIME = pa.timestamp("us", tz="UTC")


def trials_table(state: StudyState) -> pa.Table:
    """Returns one row a trial, in the order they were proposed (columns: see README, *The tables*)."""
    header, trials = state.header, list(state.trials.values())
    best = [trial.best_report(metric=header.metric, mode=header.mode) for trial in trials]
    columns: dict[str, pa.Array] = {
        "trial": _strings(trial.name for trial in trials),
        "variant_id": _strings(trial.variant.variant_id for trial in trials),
        "state": _strings(trial.state.value for trial in trials),
        "reason": _strings(trial.reason or None for trial in trials),
        "failure_kind": _strings(trial.failure.kind if trial.failure else None for trial in trials),
        "family": _strings(trial.variant.family for trial in trials),
        "seed": pa.array([trial.variant.seed for trial in trials], pa.int64()),
    }
    for name in _ordered_union(trial.variant.params for trial in trials):
        columns[f"param.{name}"] = _values([trial.variant.params.get(name) for trial in trials])
    for name in COSTS:
        columns[name] = _costs(trials, name)
    columns["epochs"] = pa.array([trial.epoch for trial in trials], pa.int32())
    columns["best_epoch"] = pa.array([report.epoch if report else None for report in best], pa.int32())
    columns[f"best_{header.metric}"] = _floats(report.metrics[header.metric] if report else None for report in best)
    for metric in metric_names(trials):
        columns[metric] = _floats(trial.reports[-1].metrics.get(metric) if trial.reports else None for trial in trials)
    columns["train_seconds"] = _floats(sum(report.train_seconds for report in trial.reports) for trial in trials)
    for kind in OVERHEAD_KINDS:
        columns[f"overhead_seconds.{kind}"] = _floats(
            sum(report.overhead_seconds.get(kind, 0.0) for report in trial.reports) for trial in trials
        )
    columns["node"] = _strings(trial.worker.get("node") for trial in trials)
    columns["worker_pid"] = pa.array([trial.worker.get("worker_pid") for trial in trials], pa.int64())
    columns["cpus"] = _floats(trial.worker.get("cpus") for trial in trials)
    columns["gpus"] = _floats(trial.worker.get("gpus") for trial in trials)
    columns["gpu_ids"] = pa.array([trial.worker.get("gpu_ids") for trial in trials], pa.list_(pa.string()))
    columns["worker_memory_mb"] = _floats(trial.worker.get("memory_mb") for trial in trials)
    columns["workers_lost"] = pa.array([len(trial.losses) for trial in trials], pa.int32())
    columns["notes"] = pa.array([[note.text for note in trial.notes] for trial in trials], pa.list_(pa.string()))
    columns["reused_from"] = _strings(trial.reused_from or None for trial in trials)
    columns["started_at"] = _times(trial.started_at[0] if trial.started_at else None for trial in trials)
    columns["ended_at"] = _times(trial.ended_at for trial in trials)
    return _table(columns, state)


def epochs_table(state: StudyState) -> pa.Table:
    """Returns one row a report, by trial, then epoch (columns: see README, *The tables*)."""
    trials = list(state.trials.values())
    rows = [
        (trial.name, report, at)
        for trial in trials
        for report, at in zip(trial.reports, trial.reported_at, strict=True)
    ]
    columns: dict[str, pa.Array] = {
        "trial": _strings(name for name, _, _ in rows),
        "epoch": pa.array([report.epoch for _, report, _ in rows], pa.int32()),
    }
    for metric in metric_names(trials):
        columns[metric] = _floats(report.metrics.get(metric) for _, report, _ in rows)
    columns["train_seconds"] = _floats(report.train_seconds for _, report, _ in rows)
    columns["images_per_second"] = _floats(report.images_per_second for _, report, _ in rows)
    columns["at"] = _times(at for _, _, at in rows)
    return _table(columns, state)


def write_tables(folder: RunFolder, *, trials: pa.Table, epochs: pa.Table) -> None:
    """Writes both tables, each whole; the epochs first, so that no trial is ahead of its epochs."""
    for path, table in ((folder.epochs, epochs), (folder.trials, trials)):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_whole(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> pa.Table:
    """Returns a table from disk, also while another process replaces the file."""
    # Opened once: given a path, Arrow opens it again for the data, and that may be a newer file than the schema's.
    with path.open("rb") as file:
        return pq.read_table(file)


def read_tables(folder: RunFolder) -> tuple[pa.Table, pa.Table]:
    """Returns the trials and the epochs of one and the same moment, also while a driver replaces both files.

    The trials are read first: the epochs are written first, so they are as new or newer, and what is newer is left out.
    """
    trials, epochs = read_table(folder.trials), read_table(folder.epochs)
    known = dict(zip(trials["trial"].to_pylist(), trials["epochs"].to_pylist(), strict=True))
    rows = zip(epochs["trial"].to_pylist(), epochs["epoch"].to_pylist(), strict=True)
    return trials, epochs.filter(pa.array([epoch <= known.get(trial, 0) for trial, epoch in rows], pa.bool_()))


def metric_names(trials: Iterable[Trial]) -> list[str]:
    """Returns the names of all reported metrics: training first, then validation."""
    names = {name for trial in trials for report in trial.reports for name in report.metrics}
    return sorted(names, key=lambda name: (name.startswith("val_"), name))


def _table(columns: dict[str, pa.Array], state: StudyState) -> pa.Table:
    metadata = {_SCHEMA_KEY: str(SCHEMA_VERSION), RECORDS_KEY: str(state.num_records)}
    return pa.table(columns).replace_schema_metadata(metadata)


def _costs(trials: Sequence[Trial], name: str) -> pa.Array:
    values = [trial.reports[0].cost.get(name) if trial.reports else None for trial in trials]
    is_count = pa.types.is_integer(COSTS[name])
    return pa.array([int(value) if is_count and value is not None else value for value in values], COSTS[name])


def _strings(values: Iterable[str | None]) -> pa.Array:
    return pa.array(list(values), pa.string())


def _floats(values: Iterable[float | None]) -> pa.Array:
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _times(values: Iterable[float | None]) -> pa.Array:
    return pa.array([None if value is None else datetime.fromtimestamp(value, UTC) for value in values], _TIME)


def _values(values: Sequence[Any]) -> pa.Array:
    """Returns a column of parameter values; what has no common Arrow type is told as JSON."""
    listed = [list(value) if isinstance(value, tuple) else value for value in values]
    kinds = {type(value) for value in listed if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        try:
            return pa.array(listed, pa.float64() if float in kinds else None)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # lists of unlike values: told as JSON below
    return _strings(None if value is None else json.dumps(value) for value in listed)


def _ordered_union(mappings: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
