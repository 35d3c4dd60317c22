"""The tables say what the fold says, have one schema whatever the study is like, and appear whole."""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.journal.records import (
    EpochReported,
    Record,
    StudyOpened,
    TrialFailed,
    TrialNoted,
    TrialProposed,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import Trial
from orchestrator.results.tables import (
    AVERAGES_KEY,
    OVERHEAD_KINDS,
    RECORDS_KEY,
    Rows,
    epochs_table,
    metric_names,
    outcomes_table,
    read_table,
    trial_rows,
    trials_table,
    write_tables,
)
from orchestrator.results.writer import GrowingTables
from orchestrator.runs.paths import RunFolder
from trainables.specs.targets import METRICS as METRICS_BY_KIND

Sweep = Callable[..., list[Record]]
TIME = pa.timestamp("us", tz="UTC")

#: Columns that every trials table has, in order; parameters follow the seed, last metrics the best one.
TRIAL_COLUMNS: dict[str, pa.DataType] = {
    "trial": pa.string(),
    "variant_id": pa.string(),
    "state": pa.string(),
    "reason": pa.string(),
    "failure_kind": pa.string(),
    "family": pa.string(),
    "seed": pa.int64(),
    "parameters": pa.int64(),
    "multiply_adds": pa.int64(),
    "memory_mb": pa.float64(),
    "latency_ms": pa.float64(),
    "epochs": pa.int32(),
    "best_epoch": pa.int32(),
    "best_val_accuracy": pa.float64(),
    "train_seconds": pa.float64(),
    **{f"overhead_seconds.{kind}": pa.float64() for kind in OVERHEAD_KINDS},
    "node": pa.string(),
    "node_type": pa.string(),
    "worker_pid": pa.int64(),
    "cpus": pa.float64(),
    "gpus": pa.float64(),
    "gpu_ids": pa.list_(pa.string()),
    "worker_memory_mb": pa.float64(),
    "workers_lost": pa.int32(),
    "moves": pa.int32(),
    "notes": pa.list_(pa.string()),
    "replicate_of": pa.string(),
    "fold": pa.int32(),
    "reused_from": pa.string(),
    "parent": pa.string(),
    "from_epoch": pa.int32(),
    "replaces": pa.string(),
    "started_at": TIME,
    "ended_at": TIME,
}
EPOCH_COLUMNS: dict[str, pa.DataType] = {
    "trial": pa.string(),
    "epoch": pa.int32(),
    "train_seconds": pa.float64(),
    "images_per_second": pa.float64(),
    "at": TIME,
}
METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")


def schema_of(table: pa.Table, *, without: tuple[str, ...] = ()) -> dict[str, pa.DataType]:
    return {
        field.name: field.type
        for field in table.schema
        if not field.name.startswith("param.") and field.name not in without
    }


def test_rows_agree_with_the_fold(make_sweep: Sweep) -> None:
    state = fold(make_sweep())
    rows = {row["trial"]: row for row in trials_table(state).to_pylist()}
    assert list(rows) == list(state.trials)
    for name, trial in state.trials.items():
        row, best = rows[name], trial.best_report(metric="val_accuracy", mode="max")
        assert (row["state"], row["reason"] or "", row["epochs"]) == (trial.state.value, trial.reason, trial.epoch)
        assert (row["variant_id"], row["family"], row["seed"]) == (
            trial.variant.variant_id,
            trial.variant.family,
            trial.variant.seed,
        )
        assert {key: value for key, value in row.items() if key.startswith("param.") and value is not None} == {
            f"param.{key}": value for key, value in trial.variant.params.items()
        }
        assert row["best_epoch"] == (best.epoch if best else None)
        assert row["best_val_accuracy"] == (best.metrics["val_accuracy"] if best else None)
        assert row["val_loss"] == (trial.reports[-1].metrics["val_loss"] if trial.reports else None)
        assert row["train_seconds"] == sum(report.train_seconds for report in trial.reports)
        assert row["started_at"] == datetime.fromtimestamp(trial.started_at[0], UTC)
        assert row["ended_at"] == datetime.fromtimestamp(trial.ended_at or 0, UTC)


def test_outcomes_are_columns_of_the_trials(make_sweep: Sweep) -> None:
    state = fold(make_sweep())
    outcomes = outcomes_table(state)
    assert outcomes.equals(trials_table(state).select(outcomes.column_names), check_metadata=True)


def test_epochs_have_one_row_a_report(make_sweep: Sweep) -> None:
    state = fold(make_sweep())
    rows = epochs_table(state).to_pylist()
    assert [(row["trial"], row["epoch"]) for row in rows] == [
        (name, report.epoch) for name, trial in state.trials.items() for report in trial.reports
    ]
    for row in rows:
        report = state.trials[row["trial"]].reports[row["epoch"] - 1]
        assert {metric: row[metric] for metric in METRICS} == dict(report.metrics)


@pytest.mark.parametrize("num_records", [1, 2, 3, 5, None], ids=["opened", "session", "trial", "report", "all"])
def test_schema_is_the_same_however_far_the_study_is(make_sweep: Sweep, num_records: int | None) -> None:
    state = fold(make_sweep()[:num_records])
    assert schema_of(trials_table(state), without=METRICS) == TRIAL_COLUMNS
    assert schema_of(epochs_table(state), without=METRICS) == EPOCH_COLUMNS
    assert list(schema_of(trials_table(state), without=METRICS)) == list(TRIAL_COLUMNS)


def test_reported_metrics_stand_in_both_tables_training_first(make_sweep: Sweep) -> None:
    state = fold(make_sweep())
    assert metric_names(state.trials.values()) == list(METRICS)
    for table in (trials_table(state), epochs_table(state)):
        assert [name for name in table.column_names if name in METRICS] == list(METRICS)
        assert {table.schema.field(name).type for name in METRICS} == {pa.float64()}


def test_metric_that_sorts_after_val_still_stands_before_the_validation(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    make_reported: Callable[..., EpochReported],
) -> None:
    told = make_reported(0, 1, at=2.0, value=0.5)
    report = {**told.report, "metrics": {"val_loss": 1.0, "weight_norm": 2.0, "val_accuracy": 0.5}}
    state = fold([make_opened(), make_proposed(0, at=1.0), replace(told, report=report)])
    assert metric_names(state.trials.values()) == ["weight_norm", "val_accuracy", "val_loss"]


def test_epochs_are_written_before_the_trials(
    make_sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("orchestrator.results.tables.write_whole", lambda path, _: written.append(path.name))
    state = fold(make_sweep())
    write_tables(RunFolder(tmp_path), trials=trials_table(state), epochs=epochs_table(state))
    assert written == ["epochs.parquet", "trials.parquet"]


def test_trial_that_died_says_how_and_how_often(
    make_opened: Callable[..., StudyOpened], make_proposed: Callable[..., TrialProposed]
) -> None:
    lost = WorkerLost(trial="t0000", reason="killed", at=2.0)
    failed = TrialFailed(trial="t0000", kind="worker_lost", reason="died 2 times", at=3.0)
    row = trials_table(fold([make_opened(), make_proposed(0, at=1.0), lost, failed])).to_pylist()[0]
    assert (row["state"], row["failure_kind"], row["reason"]) == ("failed", "worker_lost", "died 2 times")
    assert (row["workers_lost"], row["started_at"], row["best_epoch"]) == (1, None, None)


@pytest.mark.parametrize(
    "row",
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([0.5, None], pa.float64(), [0.5, None]),
        (["a", "b"], pa.string(), ["a", "b"]),
        ([True, False], pa.bool_(), [True, False]),
        ([[1, 2], [3]], pa.list_(pa.int64()), [[1, 2], [3]]),
        ([1, "same"], pa.string(), ["1", '"same"']),
        ([True, 3], pa.string(), ["true", "3"]),
        ([True, 0.5], pa.string(), ["true", "0.5"]),
        ([[1, 2], "none"], pa.string(), ["[1, 2]", '"none"']),
        ([[1, "a"], [2]], pa.string(), ['[1, "a"]', "[2]"]),
        ([[1, 2], 3, None], pa.string(), ["[1, 2]", "3", None]),
    ],
)
def test_parameter_column_takes_whatever_types_the_trials_have(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    tmp_path: Path,
    row: tuple[list[Any], pa.DataType, list[Any]],
) -> None:
    values, kind, told = row
    records = [
        make_proposed(number, at=1.0, params={} if value is None else {"p": value})
        for number, value in enumerate(values)
    ]
    table = trials_table(fold([make_opened(), *records]))
    assert table.schema.field("param.p").type == kind
    assert table["param.p"].to_pylist() == told
    growing, state = GrowingTables(block_trials=1), fold([make_opened()])
    for record in records:
        state.apply(record)
        growing.update(state)
        assert growing.tables()[0].equals(trials_table(state))
    write_tables(RunFolder(tmp_path), trials=table, epochs=epochs_table(StudyState()))
    assert read_table(tmp_path / "trials.parquet").equals(table)


def test_metadata_say_how_many_records_a_table_holds(make_sweep: Sweep, tmp_path: Path) -> None:
    records = make_sweep()
    state = fold(records)
    write_tables(RunFolder(tmp_path), trials=trials_table(state), epochs=epochs_table(state))
    for name in ("trials", "epochs"):
        metadata = read_table(tmp_path / f"{name}.parquet").schema.metadata
        assert metadata[RECORDS_KEY] == str(len(records)).encode()
        assert metadata[b"convfleet.schema"] == b"1"
        averages = json.loads(metadata[AVERAGES_KEY])
        assert averages["classification"]["precision"].startswith("macro: ")
        assert averages["multilabel"]["precision"].startswith("micro: ")
        assert {kind: set(names) for kind, names in averages.items()} == {
            kind: set(names) for kind, names in METRICS_BY_KIND.items()
        }


@pytest.mark.parametrize("num_records", [1, None], ids=["without trials", "with trials"])
def test_pandas_and_duckdb_read_both_tables(make_sweep: Sweep, tmp_path: Path, num_records: int | None) -> None:
    state = fold(make_sweep()[:num_records])
    write_tables(RunFolder(tmp_path), trials=trials_table(state), epochs=epochs_table(state))
    num_reports = sum(len(trial.reports) for trial in state.trials.values())
    for name, count in (("trials", len(state.trials)), ("epochs", num_reports)):
        path = tmp_path / f"{name}.parquet"
        assert len(pd.read_parquet(path)) == count
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(count,)]
    if num_records is None:
        query = f"select state, count(*) from '{tmp_path / 'trials.parquet'}' group by state order by state"
        assert duckdb.sql(query).fetchall() == [("completed", 4), ("failed", 1), ("infeasible", 1), ("stopped", 8)]


def test_reader_never_sees_a_part_of_a_table(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    make_reported: Callable[..., EpochReported],
    tmp_path: Path,
) -> None:
    folder, state = RunFolder(tmp_path), fold([make_opened()])
    write_tables(folder, trials=trials_table(state), epochs=epochs_table(state))
    is_done = threading.Event()
    seen: list[tuple[int, int]] = []
    broken: list[BaseException] = []

    def read() -> None:
        try:
            while not is_done.is_set():
                # The trials are written last: whoever reads them first finds epochs that are at least as new.
                num_trials = read_table(folder.trials).num_rows
                seen.append((num_trials, read_table(folder.epochs).num_rows))
        except BaseException as exc:  # noqa: BLE001 - shown by the main thread
            broken.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    for number in itertools.count():
        if number >= 200 and (len(seen) > 10 or broken):
            break
        state.apply(make_proposed(number, at=1.0))
        state.apply(make_reported(number, 1, at=2.0, value=0.5))
        write_tables(folder, trials=trials_table(state), epochs=epochs_table(state))
    is_done.set()
    reader.join()
    assert broken == []
    assert len(seen) > 10
    assert seen == sorted(seen)
    assert all(num_epochs >= num_trials for num_trials, num_epochs in seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.parquet", "trials.parquet"]


def test_metric_that_only_some_trials_report_stands_in_its_place_in_tables_that_grow(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    make_reported: Callable[..., EpochReported],
) -> None:
    state, growing = fold([make_opened()]), GrowingTables(block_trials=1)
    for number, extra in enumerate(("", "weight_norm", "val_auc", "")):
        state.apply(make_proposed(number, at=1.0))
        growing.update(state)
        told = make_reported(number, 1, at=2.0, value=0.5)
        metrics = {**told.report["metrics"], **({extra: 1.0} if extra else {})}
        state.apply(replace(told, report={**told.report, "metrics": metrics}))
        growing.update(state)
        trials, epochs = growing.tables()
        assert trials.equals(trials_table(state))
        assert epochs.equals(epochs_table(state))
    assert epochs["weight_norm"].to_pylist() == [None, 1.0, None, None]


def test_refresh_makes_only_the_rows_around_what_changed(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[list[str]] = []

    def trial_rows_seen(trials: list[Trial], *, header: StudyOpened) -> Rows:
        made.append([trial.name for trial in trials])
        return trial_rows(trials, header=header)

    monkeypatch.setattr("orchestrator.results.writer.trial_rows", trial_rows_seen)
    state = fold([make_opened(), *(make_proposed(number, at=1.0) for number in range(9))])
    growing = GrowingTables(block_trials=4)
    growing.update(state)
    assert [len(names) for names in made] == [4, 4, 1]
    made.clear()
    state.apply(TrialNoted(trial="t0005", kind="checkpoint_evicted", text="gone", at=2.0))
    growing.update(state)
    state.apply(make_proposed(9, at=3.0))
    growing.update(state)
    assert made == [["t0004", "t0005", "t0006", "t0007"], ["t0008", "t0009"]]


def test_cost_of_a_variant_is_the_one_of_its_first_report(
    make_opened: Callable[..., StudyOpened],
    make_proposed: Callable[..., TrialProposed],
    make_reported: Callable[..., EpochReported],
) -> None:
    first, second = (make_reported(0, epoch, at=2.0 + epoch, value=0.5) for epoch in (1, 2))
    cost = {"parameters": 1e6, "multiply_adds": 2.5e9, "memory_mb": 7.25, "latency_ms": 1.5}
    first = replace(first, report={**first.report, "cost": cost})
    table = trials_table(fold([make_opened(), make_proposed(0, at=1.0), make_proposed(1, at=1.0), first, second]))
    assert table.select(list(cost)).to_pylist() == [
        {"parameters": 1_000_000, "multiply_adds": 2_500_000_000, "memory_mb": 7.25, "latency_ms": 1.5},
        dict.fromkeys(cost),
    ]


def test_arrow_reads_a_table_without_a_file_of_pythons(tmp_path, monkeypatch):
    # Arrow's threads may still hold it as the process ends, which aborts it then.
    sources, read = [], pq.read_table
    monkeypatch.setattr(pq, "read_table", lambda source: sources.append(source) or read(source))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "trials.parquet")
    assert read_table(tmp_path / "trials.parquet").to_pydict() == {"a": [1]}
    assert [isinstance(source, pa.OSFile) for source in sources] == [True]
