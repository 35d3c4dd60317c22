"""With several objectives the front's first trials are trained again, and compared by the main objective."""

from pathlib import Path

import pytest
from driven_studies import drive, spec_of

from orchestrator.driver.result import StudyResult
from orchestrator.journal.study_state import StudyState, fold, search_alone
from orchestrator.replicates.from_state import contenders_of, replicated, standing_of
from orchestrator.replicates.words import replicate_notes
from orchestrator.results.from_state import front_of, hypervolumes, placed
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.views.report import write_report

TWO = {"others": [{"metric": "parameters", "mode": "min"}], "trials": 12, "schedule": "none"}


@pytest.fixture
def study(tmp_path: Path) -> StudyState:
    return fold(drive(tmp_path / "study", spec_of(**TWO)))


def test_trials_of_the_front_alone_are_trained_again_best_first(study: StudyState) -> None:
    alone = search_alone(study)
    front = [item.trial.name for item in front_of(alone)]
    assert 1 < len(front) < 12
    assert list(study.replicates) == front[:3]
    assert standing_of(study).is_over


def test_fronts_and_volume_are_those_without_replicates_and_means_order_each_front(study: StudyState) -> None:
    alone = search_alone(study)
    fronts = {item.trial.name: item.front for item in placed(alone)}
    board = placed(study)
    assert {item.trial.name: item.front for item in board} == fronts
    assert hypervolumes(study) == hypervolumes(alone)
    means = {item.trial: item.mean for item in replicated(study)}
    first = [item.trial.name for item in board if item.trial.name in means]
    assert first == [item.trial.name for item in board][: len(first)]
    assert [means[name] for name in first] == sorted(means.values(), reverse=True)


def test_tables_have_the_fronts_of_the_search_and_none_of_replicates(study: StudyState, tmp_path: Path) -> None:
    ranks = dict(zip(*(trials_table(study)[name].to_pylist() for name in ("trial", "pareto_rank")), strict=True))
    assert {name: ranks[name] for name in study.trials if study.trials[name].replicate_of} == {
        name: None for names in study.replicates.values() for name in names
    }
    assert {item.trial.name: item.front for item in placed(study)} == {
        name: rank for name, rank in ranks.items() if rank is not None
    }
    board = leaderboard(trials_table(study), metric="val_accuracy", mode="max")
    assert board["trial"].to_pylist() == [item.trial.name for item in placed(study)]
    rows = StudyResult(folder=RunFolder(tmp_path), state=study).leaderboard().to_pylist()
    assert [row["replicate_mean"] for row in rows[:3]] == [item.mean for item in replicated(study)]
    page = write_report(RunFolder(tmp_path), state=study).read_text(encoding="utf-8")
    assert "compared by val_accuracy alone" in page


def test_study_says_what_its_means_are_about(study: StudyState) -> None:
    assert replicate_notes(study)[0] == (
        "replicates are of the front's first trials and compared by val_accuracy alone; the fronts themselves are of "
        "single trainings, with their luck"
    )


def test_resumed_study_trains_the_same_replicates(tmp_path: Path) -> None:
    spec = spec_of(**{**TWO, "trials": 5, "replicates": 2, "max_epochs": 2})
    records = drive(tmp_path / "whole", spec)
    expected = [(item.name, item.variant.variant_id) for item in fold(records).trials.values()]
    assert len(expected) > 5
    for count in range(1, len(records), 2):
        state = fold(drive(tmp_path / f"cut-{count}", spec, before=records[:count]))
        assert [(item.name, item.variant.variant_id) for item in state.trials.values()] == expected


def test_a_front_of_fewer_trials_than_leaders_is_trained_again_as_a_whole(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec_of(**{**TWO, "leaders": 12, "replicates": 2})))
    front = [item.trial.name for item in front_of(search_alone(state))]
    assert [item.trial for item in contenders_of(state)] == front
    assert set(state.replicates) == set(front)


def test_replicates_beside_several_objectives_are_taken() -> None:
    goals = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    content = {"name": "a", "data": {"source": "digits"}, "space": "cnn-small", "objective": goals}
    assert load_study({**content, "search": {"replicates": 3}}).most_replicates == 9
