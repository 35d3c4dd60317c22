"""Rows and figures of the pages agree with the tables of a run, and hold nothing that a grid would run."""

import io
import json
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml
from dashboards.made_runs import made_run

from orchestrator.dashboard.answers.curves import TIMES, CurveChoice, curves_figure
from orchestrator.dashboard.answers.decision_rows import NewDecisions, decision_at, decision_rows, decisions_of_trial
from orchestrator.dashboard.answers.history_figures import rungs_figure, seconds_figure
from orchestrator.dashboard.answers.rung_rows import rung_rows, rungs_of
from orchestrator.dashboard.answers.study_rows import study_row
from orchestrator.dashboard.answers.table_files import csv_bytes, parquet_bytes
from orchestrator.dashboard.answers.trial_rows import (
    METRIC,
    PARAMETER,
    ChangedTrials,
    ranks_of,
    trial_columns,
    trial_grid_rows,
)
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.history.decisions import decisions
from orchestrator.history.fleet_timeline import fleet_timeline
from orchestrator.journal.file import read_journal
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import epochs_table, trials_table
from orchestrator.views.report.history_section import workers_figure
from trainables.reports import EpochReport


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FollowedRun:
    folder = made_run(tmp_path_factory.mktemp("runs") / "made", num_trials=30, num_epochs=9, schedule="asha")
    run = FollowedRun("made", folder)
    run.poll()
    return run


def test_rows_of_trials_agree_with_the_leaderboard(run: FollowedRun) -> None:
    header, rows = run.state.header, {row["trial"]: row for row in trial_grid_rows(run)}
    board = leaderboard(trials_table(run.state), **header.ranking).to_pylist()
    assert [rows[item["trial"]]["rank"] for item in board] == [item["rank"] for item in board]
    for item in board:
        row = rows[item["trial"]]
        assert row[f"{METRIC}{header.metric}"] == item[f"best_{header.metric}"]
        assert row["state"] == item["state"]
        assert row[f"{PARAMETER}learning_rate"] == item["param.learning_rate"]
        assert row["train_seconds"] == pytest.approx(item["train_seconds"])


def test_fields_of_rows_are_columns_and_none_is_one_that_a_grid_runs(run: FollowedRun) -> None:
    fields = {item.field for item in trial_columns(run)}
    rows: list[dict[str, Any]] = [*trial_grid_rows(run), *rung_rows(run), *decision_rows(run), study_row(run)]
    assert {name for row in trial_grid_rows(run) for name in row} <= fields
    # NiceGUI compiles the value of a key that begins with a colon.
    assert not [name for row in rows for name in row if name.startswith(":")]
    json.dumps(rows, allow_nan=False)


def test_rows_that_changed_are_all_that_differ_whatever_made_them_differ(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "live", num_trials=9, num_epochs=3, is_finished=False)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:30]))
    run = FollowedRun("live", folder)
    run.poll()
    run.is_alive = True
    shown, changed = {row["trial"]: row for row in trial_grid_rows(run)}, ChangedTrials(run)
    assert changed.since_last() == []
    # The driver dies without a record: its trials train no more.
    run.is_alive = False
    run.version += 1
    stopped = changed.since_last()
    assert (
        {row["trial"] for row in stopped} == {name for name, row in shown.items() if row["state"] == "running"} != set()
    )
    shown |= {row["trial"]: row for row in stopped}
    # Repaired, or fetched again: another file, of which this page has seen nothing.
    for num_lines in (40, 25, len(lines)):
        (tmp_path / "draft").write_bytes(b"".join(lines[:num_lines]))
        (tmp_path / "draft").replace(folder.journal)
        run.poll()
        shown |= {row["trial"]: row for row in changed.since_last()}
        rows = trial_grid_rows(run)
        assert rows == [shown[row["trial"]] for row in rows]


def test_study_row_counts_every_trial_once(run: FollowedRun) -> None:
    row = study_row(run)
    assert row["done"] + row["stopped"] + row["running"] + row["waiting"] + row["failed"] == len(run.state.trials)


def test_decisions_are_those_of_the_whole_journal(run: FollowedRun) -> None:
    whole = decisions(read_journal(run.folder.journal))
    assert [row["text"] for row in decision_rows(run)] == [item.text for item in whole]
    for line in (1, 2, len(whole)):
        assert decision_at(run, line) == whole[line - 1]
    assert [decision_at(run, line) for line in (-1, 0, len(whole) + 1)] == [None, None, None]
    assert decisions_of_trial(run, "t0004") == [item for item in whole if item.trial == "t0004"]


def test_new_decisions_are_told_once(run: FollowedRun, tmp_path: Path) -> None:
    lines = run.folder.journal.read_bytes().splitlines(keepends=True)
    folder = made_run(tmp_path / "growing", num_trials=1, num_epochs=1)
    folder.journal.write_bytes(b"".join(lines[:20]))
    growing = FollowedRun("growing", folder)
    growing.poll()
    new = NewDecisions(growing)
    assert new.since_last() == []
    with folder.journal.open("ab") as file:
        file.write(b"".join(lines[20:33]))
    growing.poll()
    assert [item.line for item in new.since_last()] == list(range(21, 34))
    assert new.since_last() == []


def test_new_decisions_are_told_of_a_journal_that_was_fetched_again(run: FollowedRun, tmp_path: Path) -> None:
    lines = run.folder.journal.read_bytes().splitlines(keepends=True)
    folder = made_run(tmp_path / "fetched", num_trials=1, num_epochs=1)
    fetched = FollowedRun("fetched", folder)
    folder.journal.write_bytes(b"".join(lines[:20]))
    fetched.poll()
    new, told = NewDecisions(fetched), []
    assert new.since_last() == []
    for num_lines in (33, 50):
        (tmp_path / "draft").write_bytes(b"".join(lines[:num_lines]))
        (tmp_path / "draft").replace(folder.journal)
        fetched.poll()
        told += [item.line for item in new.since_last()]
        assert told == list(range(21, num_lines + 1))


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("top", [3, 0])
def test_curves_have_the_reports_of_the_best_trials(run: FollowedRun, time: str, top: int) -> None:
    figure = curves_figure(run.state, CurveChoice(metric="val_accuracy", top=top, time=time), ranks=ranks_of(run))
    assert figure is not None
    reports = epochs_table(run.state)["val_accuracy"].to_pylist()
    drawn = [value for trace in figure["data"] for value in trace["y"]]
    assert len(figure["data"]) == (top or len(run.state.trials))
    assert set(drawn) <= set(reports)
    assert top or sorted(drawn) == sorted(reports)


def test_many_curves_become_one_trace_with_all_points(tmp_path: Path) -> None:
    run = FollowedRun("many", made_run(tmp_path / "many", num_trials=70, num_epochs=2))
    run.poll()
    figure = curves_figure(run.state, CurveChoice(metric="val_accuracy", top=0), ranks=ranks_of(run))
    assert figure is not None
    (trace,) = figure["data"]
    assert sum(value is not None for value in trace["y"]) == 140


def test_curve_of_a_reused_trial_begins_where_the_study_took_it_over(run: FollowedRun) -> None:
    state, trial = copy(run.state), run.state.trials["t0003"]
    # Another run trained it a month before, at the same pace.
    month = 30 * 86_400.0
    state.trials = {
        "t0003": replace(
            trial,
            reused_from="/runs/old",
            reported_at=[at - month for at in trial.reported_at],
            started_at=[at - month for at in trial.started_at],
        )
    }
    choice = CurveChoice(metric="val_accuracy", top=0, time=TIMES[2])
    figure = curves_figure(state, choice, ranks={})
    assert figure is not None
    (trace,) = figure["data"]
    expected = [trial.proposed_at + at - trial.started_at[0] - state.header.at for at in trial.reported_at]
    assert trace["x"] == pytest.approx(expected)
    assert trace["x"][0] > 0


def test_curves_are_drawn_while_another_thread_takes_new_records(run: FollowedRun) -> None:
    state = copy(run.state)
    state.trials = dict(run.state.trials)

    class Reports(list[EpochReport]):
        def __iter__(self) -> Iterator[EpochReport]:
            name = f"t{len(state.trials):04d}"
            state.trials[name] = replace(last, name=name, reports=[])
            return super().__iter__()

    last = run.state.trials["t0029"]
    state.trials["t0003"] = replace(last, reports=Reports(last.reports))
    assert curves_figure(state, CurveChoice(metric="val_accuracy", top=0), ranks=ranks_of(run)) is not None


def test_rungs_and_workers_are_drawn_whole(run: FollowedRun) -> None:
    table = rungs_of(run)
    assert table is not None
    figure = rungs_figure(table)
    assert figure is not None
    points = [text for trace in figure["data"] if trace["type"] == "box" for text in trace["text"]]
    assert len(points) == len(table.entries) == len(rung_rows(run))
    timeline = fleet_timeline(run.state)
    bars, seconds = workers_figure(timeline), seconds_figure(timeline)
    assert bars is not None
    assert seconds is not None
    assert 60 * sum(map(sum, (trace["x"] for trace in bars["data"]))) == pytest.approx(
        sum(timeline.seconds.values()), rel=0.02
    )
    assert sum(seconds["data"][0]["x"]) == pytest.approx(sum(timeline.seconds.values()))


def test_rungs_need_neither_the_data_nor_the_code_of_a_study(tmp_path: Path) -> None:
    run = FollowedRun("own", made_run(tmp_path / "own", num_trials=6, num_epochs=4, schedule="asha"))
    study = yaml.safe_load(run.folder.study.read_text())
    study["space"] = {"family": "custom", "params": {"function": "gone_by_now:build"}}
    run.folder.study.write_text(yaml.safe_dump(study))
    run.poll()
    table = rungs_of(run)
    assert table is not None
    assert {entry.trial for entry in table.entries} == set(run.state.trials)


def test_downloaded_tables_are_the_tables(run: FollowedRun) -> None:
    table = trials_table(run.state)
    assert pyarrow.parquet.read_table(io.BytesIO(parquet_bytes(table))).equals(table)
    read = pyarrow.csv.read_csv(io.BytesIO(csv_bytes(table)))
    assert read["trial"].to_pylist() == table["trial"].to_pylist()
    assert read["best_val_accuracy"].to_pylist() == pytest.approx(table["best_val_accuracy"].to_pylist())
