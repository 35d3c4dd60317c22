"""A trial that breaks a constraint is no winner anywhere: it stands last, is marked, and is not exported."""

import io
from pathlib import Path
from typing import Any

import pytest
from made_studies import Curve, study_of
from rich.console import Console

from orchestrator.analysis.analysis import analysis_of
from orchestrator.analysis.progress import best_so_far_steps
from orchestrator.errors import JournalError
from orchestrator.export.selection import chosen_trials
from orchestrator.journal.record_checks import check_record
from orchestrator.journal.records import record_from_json, record_to_json
from orchestrator.journal.study_state import StudyState
from orchestrator.replicates.from_state import contenders_of
from orchestrator.results.from_state import best_so_far, constraints_in_words, front_of, hypervolumes, leaders, placed
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import outcomes_table, trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import Search
from orchestrator.tuning.budgets import Budgets
from orchestrator.views.report import write_report
from orchestrator.views.terminal.analysis_view import print_analysis
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_summary

#: Each trial's accuracy by epoch, and its parameters; the last one has no cost.
TRIALS = [
    Curve(validation=(0.5, 0.9), cost={"parameters": 900.0}),
    Curve(validation=(0.8, 0.7), cost={"parameters": 300.0}),
    Curve(validation=(0.8, 0.85), cost={"parameters": 900.0}),
    Curve(validation=(0.3,), cost={"parameters": 100.0}, is_stopped=True),
    Curve(validation=(0.95, 0.95)),
]
OBJECTIVES = [{"metric": "val_accuracy", "mode": "max"}, {"metric": "parameters", "mode": "min"}]
SMALL = ["parameters <= 500"]
#: Those that keep to SMALL by value, then the others by value.
ORDER = ["t0001", "t0003", "t0004", "t0000", "t0002"]


def study(constraints: list[str], **header: Any) -> StudyState:
    return study_of(TRIALS, constraints=constraints, **header)


def summary(state: StudyState, folder: RunFolder) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, state, folder=folder, k=9)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_trials_that_break_a_constraint_stand_last_and_lead_nothing() -> None:
    state = study(SMALL)
    assert [item.trial.name for item in placed(state)] == ORDER
    assert [bool(item.broken) for item in placed(state)] == [False, False, True, True, True]
    assert [trial.name for trial, _ in leaders(state, k=9)] == ORDER[:2]
    assert leaderboard(trials_table(state), **state.header.ranking)["trial"].to_pylist() == ORDER
    assert [item.trial.name for item in chosen_trials(state, choose="most val_accuracy")] == ORDER[:2]
    best = best_so_far(state)
    assert best is not None
    assert best[0].name == "t0001"
    assert {step.trial for step in best_so_far_steps(state)} == {"t0001"}


def test_analysis_without_a_best_trial_says_why() -> None:
    console = Console(file=io.StringIO(), width=200)
    print_analysis(console, analysis_of(study(["parameters <= 1"])))
    said = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert "No trial keeps to the constraints yet." in said
    assert "No trial has reported yet." not in said


def test_metrics_are_judged_at_the_best_report() -> None:
    # t0001 is at its best after its first epoch; the others' last epochs are below.
    assert [item.trial.name for item in placed(study(["val_accuracy < 0.85"])) if not item.broken] == ["t0001", "t0003"]


def test_fronts_and_their_volume_are_of_trials_that_keep_to_the_constraints() -> None:
    state = study(["parameters <= 500", "val_accuracy >= 0.5"], objectives=OBJECTIVES)
    assert [item.trial.name for item in front_of(state)] == ["t0001"]
    volumes = hypervolumes(state)
    assert volumes is not None
    assert volumes.trials == ["t0001"]
    table = trials_table(state)
    assert [row["pareto_rank"] for row in table.to_pylist()] == [None, 1, None, None, None]
    assert placed(state)[0].trial.name == "t0001"


def test_leaders_that_are_trained_again_keep_to_the_constraints() -> None:
    assert [item.trial for item in contenders_of(study(SMALL, replicates=3, leaders=3))] == ORDER[:2]


def test_tables_say_what_a_trial_breaks_only_in_studies_with_constraints() -> None:
    broken = trials_table(study(["parameters <= 500", "val_accuracy >= 0.5"]))["breaks"].to_pylist()
    assert broken == [
        "parameters <= 500",
        None,
        "parameters <= 500",
        "val_accuracy >= 0.5",
        "parameters <= 500",
    ]
    assert "breaks" in outcomes_table(study(SMALL)).column_names
    assert "breaks" not in trials_table(study([])).column_names


def test_status_summary_and_report_say_who_cannot_win(tmp_path: Path) -> None:
    state, folder = study(SMALL), RunFolder(tmp_path)
    found = status_json(state, folder=folder, is_alive=False)
    assert found["constraints"] == ["parameters <= 500"]
    assert found["breaks"] == {name: ["parameters <= 500"] for name in ORDER[2:]}
    assert found["best"]["trial"] == "t0001"
    text = summary(state, folder)
    assert "2 of 5 trials with a result keep to parameters <= 500; the others, marked !, cannot win" in text
    assert " 3! " in text
    assert "constraints" not in status_json(study([]), folder=folder, is_alive=False)


def test_where_no_trial_keeps_to_them_the_nearest_one_is_named(tmp_path: Path) -> None:
    state = study(["parameters <= 10"])
    assert constraints_in_words(state) == (
        "none of 5 trials with a result keeps to parameters <= 10, so none is the best; t0004 comes nearest, with no "
        "parameters; loosen the constraints, or let the space have variants that keep to them"
    )
    assert "t0003 comes nearest, with parameters 100" in constraints_in_words(
        study_of(TRIALS[:4], constraints=["parameters <= 10"])
    )
    assert best_so_far(state) is None
    assert chosen_trials(state, choose="front") == []
    assert status_json(state, folder=RunFolder(tmp_path), is_alive=False)["best"] is None
    assert "none of 5 trials" in summary(state, RunFolder(tmp_path))


class _Recording:
    def __init__(self, state: StudyState) -> None:
        self.state = state

    def now(self) -> float:
        return 100.0

    def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
        raise AssertionError(name)


@pytest.mark.parametrize(("constraints", "is_over"), [([], True), (SMALL, False), (["parameters <= 900"], True)])
def test_only_a_trial_that_keeps_to_the_constraints_reaches_the_target(constraints: list[str], is_over: bool) -> None:
    assert Budgets(_Recording(study(constraints)), Search(target=0.9)).is_over is is_over


def test_a_journal_keeps_constraints_and_one_without_any_is_as_ever() -> None:
    header = study(SMALL).header
    assert record_from_json(record_to_json(header)) == header
    assert "constraints" not in record_to_json(study([]).header)
    with pytest.raises(JournalError, match=r"constraints: expected texts such as parameters <= 1e6, got"):
        check_record(study(["smaller"]).header)


def test_the_report_says_who_cannot_win(tmp_path: Path) -> None:
    page = write_report(RunFolder(tmp_path), state=study(SMALL)).read_text()
    assert "Constraints: 2 of 5 trials with a result keep to parameters" in page
    assert "<td>3!</td>" in page or ">3!<" in page
    nobody = write_report(RunFolder(tmp_path), state=study(["parameters <= 10"])).read_text()
    assert "no trial keeps to the constraints" in nobody
