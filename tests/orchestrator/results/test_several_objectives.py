"""What a study of two objectives answers: its order, tables, front, hypervolume, exports and pages."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from made_studies import Curve, study_of
from rich.console import Console

from orchestrator.disk.checkpoint_budget import Role, roles
from orchestrator.export.selection import chosen_trials
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import front_of, hypervolumes, leaders, placed
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.optuna_journal import write_optuna_journal
from orchestrator.results.tables import outcomes_table, trials_table
from orchestrator.results.writer import GrowingTables
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report import write_report
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_summary
from search_spaces import space_from_mapping

#: Each trial's accuracy by epoch, and its parameters; the last one has no cost.
TRIALS = [
    Curve(validation=(0.5, 0.9), cost={"parameters": 900.0}),
    Curve(validation=(0.8, 0.7), cost={"parameters": 300.0}),
    Curve(validation=(0.8, 0.85), cost={"parameters": 900.0}),
    Curve(validation=(0.3,), cost={"parameters": 100.0}, is_stopped=True),
    Curve(validation=(0.3, 0.2), cost={"parameters": 200.0}),
    Curve(validation=(0.95, 0.95)),
]
OBJECTIVES = [{"metric": "val_accuracy", "mode": "max"}, {"metric": "parameters", "mode": "min"}]
#: By front, then by the main objective; t0005 lacks a value.
ORDER = ["t0000", "t0001", "t0003", "t0002", "t0004", "t0005"]
FRONT = ["t0000", "t0001", "t0003"]


def two(**header: Any) -> StudyState:
    return study_of(TRIALS, objectives=OBJECTIVES, **header)


def one() -> StudyState:
    return study_of(TRIALS)


def test_trials_stand_by_their_fronts_and_within_one_by_the_main_objective() -> None:
    board = placed(two())
    assert [item.trial.name for item in board] == ORDER
    assert [item.front for item in board] == [1, 1, 1, 2, 2, None]
    assert board[1].values == (0.8, 300.0)
    assert [item.trial.name for item in front_of(two())] == FRONT


def test_one_objective_has_the_order_that_it_always_had() -> None:
    assert [(item.trial, item.report) for item in placed(one())] == leaders(one(), k=9)
    assert front_of(one()) == []
    assert hypervolumes(one()) is None


def test_tables_have_the_rank_of_each_trials_front_only_with_several_objectives() -> None:
    table = trials_table(two())
    ranks = dict(zip(table["trial"].to_pylist(), table["pareto_rank"].to_pylist(), strict=True))
    assert ranks == {item.trial.name: item.front for item in placed(two())}
    assert leaderboard(table, **two().header.ranking)["trial"].to_pylist() == ORDER
    assert "pareto_rank" not in trials_table(one()).column_names
    assert [name for name in table.column_names if name != "pareto_rank"] == trials_table(one()).column_names
    assert "pareto_rank" not in outcomes_table(two()).column_names


@pytest.mark.parametrize("block_trials", [1, 4, 64])
def test_tables_that_grow_have_the_same_ranks(block_trials: int) -> None:
    growing = GrowingTables(block_trials=block_trials)
    growing.update(two())
    assert growing.tables()[0]["pareto_rank"].to_pylist() == trials_table(two())["pareto_rank"].to_pylist()


def test_a_second_metric_of_the_reports_has_a_column_of_its_value_at_the_best_epoch() -> None:
    second = [OBJECTIVES[0], {"metric": "val_loss", "mode": "min"}]
    table = trials_table(study_of(TRIALS, objectives=second))
    assert table["best_val_loss"].to_pylist() == [1.0] * len(TRIALS)
    # All losses are equal, so the main objective alone makes fronts.
    assert table["pareto_rank"].to_pylist() == [2, 4, 3, 5, 5, 1]


def test_the_hypervolume_grows_with_the_trials_and_has_its_reference() -> None:
    volumes = hypervolumes(two())
    assert volumes is not None
    # The worst accuracy is 0.3, the most parameters 900.
    assert volumes.reference == (0.3, 900.0)
    assert volumes.trials == ["t0000", "t0001", "t0002", "t0003", "t0004"]
    assert volumes.volumes == pytest.approx([0, 0.5 * 600, 0.5 * 600, 0.5 * 600, 0.5 * 600])
    given = [OBJECTIVES[0] | {"reference": 0.0}, OBJECTIVES[1] | {"reference": 1000.0}]
    volumes = hypervolumes(study_of(TRIALS, objectives=given))
    assert volumes is not None
    assert volumes.reference == (0.0, 1000.0)
    assert volumes.volumes[-1] == pytest.approx(0.9 * 100 + 0.8 * 600 + 0.3 * 200)


@pytest.mark.parametrize(
    ("choose", "chosen"),
    [
        ("front", FRONT),
        ("knee", ["t0001", "t0000", "t0003"]),
        ("val_accuracy >= 0.8 then least parameters", ["t0001", "t0000", "t0002"]),
        ("most val_accuracy", ["t0005", "t0000", "t0002", "t0001", "t0003", "t0004"]),
        ("val_accuracy > 0.99 then least parameters", []),
    ],
)
def test_exports_are_those_that_the_study_chooses(choose: str, chosen: list[str]) -> None:
    assert [item.trial.name for item in chosen_trials(two(), choose=choose)] == chosen


def test_one_objective_exports_the_best_trials_whether_front_or_knee() -> None:
    best = [trial.name for trial, _ in leaders(one(), k=9)]
    for choose in ("front", "knee"):
        assert [item.trial.name for item in chosen_trials(one(), choose=choose)] == best


def test_checkpoints_of_the_front_stay() -> None:
    assert {item.trial for item in roles(two(), top=1) if item.role is Role.LEADER} == set(FRONT)
    assert {item.trial for item in roles(one(), top=1) if item.role is Role.LEADER} == {"t0005"}


def printed(state: StudyState, folder: RunFolder) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_summary(console, state, folder=folder, k=6)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_summary_marks_the_front_and_says_the_hypervolume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    said = printed(two(), folder)
    assert "highest val_accuracy (validation) and lowest parameters" in said
    assert "front   t0000, t0001, t0003 (*)" in said
    assert "300, the hypervolume of the front from val_accuracy 0.3, parameters 900" in said
    rows = [line.split()[:2] for line in said.splitlines() if " sequential number=" in line]
    assert rows == [[f"{rank}{'*' if rank <= 3 else ''}", name] for rank, name in enumerate(ORDER, start=1)]
    alone = printed(one(), folder)
    assert "*" not in alone
    assert "hypervolume" not in alone


def test_the_json_document_has_objectives_front_and_hypervolume(tmp_path: Path) -> None:
    document = status_json(two(), folder=RunFolder(tmp_path), is_alive=False)
    assert document["objectives"] == OBJECTIVES
    assert [item["trial"] for item in document["front"]] == FRONT
    assert document["front"][0]["values"] == {"val_accuracy": 0.9, "parameters": 900.0}
    assert document["hypervolume"]["value"] == pytest.approx(300)
    assert document["hypervolume"]["reference"] == {"val_accuracy": 0.3, "parameters": 900.0}
    assert (
        not {"objectives", "front", "hypervolume"}
        & status_json(one(), folder=RunFolder(tmp_path), is_alive=False).keys()
    )


def test_the_report_shows_the_front_as_a_figure(tmp_path: Path) -> None:
    page = write_report(RunFolder(tmp_path), state=two()).read_text()
    assert "<h2>Front</h2>" in page
    assert 'data-figure="front"' in page
    assert 'data-figure="hypervolume"' in page
    assert "The hypervolume is 300, measured from val_accuracy 0.3, parameters 900." in page
    page = write_report(RunFolder(tmp_path), state=one()).read_text()
    assert "<h2>Front</h2>" not in page


def test_optunas_file_has_a_value_for_each_objective(tmp_path: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    space = space_from_mapping({"family": "sequential", "params": {"number": {"int": [0, 9]}}})
    write_optuna_journal(RunFolder(tmp_path), state=two(), space=space)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.journal")))
    study = optuna.load_study(study_name="made", storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    values = [trial.values for trial in study.trials]
    assert values == [[0.9, 900.0], [0.8, 300.0], [0.85, 900.0], None, [0.3, 200.0], None]
    assert {trial.number for trial in study.best_trials} == {0, 1, 4}


def test_tables_on_disk_keep_the_column(tmp_path: Path) -> None:
    pq.write_table(trials_table(two()), tmp_path / "trials.parquet")
    assert pq.read_table(tmp_path / "trials.parquet")["pareto_rank"].to_pylist() == [1, 1, 2, 1, 2, None]
