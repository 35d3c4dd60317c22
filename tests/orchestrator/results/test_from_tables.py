"""The laws of the analysis: tables in, tables and plain values out."""

from dataclasses import replace

import pyarrow as pa
import pytest

from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import TrialState
from orchestrator.results import from_tables
from orchestrator.results.from_state import count_states
from orchestrator.results.tables import OVERHEAD_KINDS, epochs_table, trials_table


@pytest.fixture
def state(make_sweep):
    return fold(make_sweep())


@pytest.fixture
def trials(state):
    return trials_table(state)


def ranked(rows, *, mode, k=None):
    trials = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    return from_tables.leaderboard(trials, metric="val_loss", mode=mode, k=k)["trial"].to_pylist()


def row(trial, value, *, epochs=3, state="completed"):
    return {"trial": trial, "state": state, "epochs": epochs, "best_val_loss": value}


@pytest.mark.parametrize(("mode", "order"), [("min", ["b", "a", "c"]), ("max", ["c", "a", "b"])])
def test_best_trial_comes_first_whichever_way_is_better(mode, order):
    assert ranked([row("a", 0.5), row("b", 0.4), row("c", 0.9)], mode=mode) == order


@pytest.mark.parametrize("mode", ["min", "max"])
def test_equally_good_trials_are_ordered_by_fewer_epochs_then_by_name(mode):
    rows = [row("d", 0.5, epochs=9), row("c", 0.5), row("b", 0.5), row("a", 0.5, epochs=4)]
    assert ranked(rows, mode=mode) == ["b", "c", "a", "d"]


def test_only_completed_and_stopped_trials_are_ranked():
    rows = [row(state.value, 0.1, state=state.value) for state in TrialState]
    assert ranked(rows, mode="min") == ["completed", "stopped"]


def test_trial_without_a_best_value_is_not_ranked():
    assert ranked([row("a", 0.5), row("b", None, epochs=0)], mode="min") == ["a"]


def test_leaderboard_of_k_holds_the_k_best_with_ranks_from_one(trials):
    board = from_tables.leaderboard(trials, metric="val_accuracy", mode="max", k=2)
    assert board.column_names == ["rank", *trials.column_names]
    assert board.select(["rank", "trial", "best_val_accuracy"]).to_pylist() == [
        {"rank": 1, "trial": "t0003", "best_val_accuracy": 0.7852},
        {"rank": 2, "trial": "t0007", "best_val_accuracy": 0.7572},
    ]


def test_study_without_trials_has_an_empty_analysis(make_opened):
    state = fold([make_opened()])
    trials = trials_table(state)
    assert from_tables.leaderboard(trials, metric="val_accuracy", mode="max").num_rows == 0
    assert from_tables.curves(epochs_table(state), "val_accuracy") == {}
    assert from_tables.cost(trials, max_epochs=9).train_seconds == 0.0
    assert from_tables.stop_reasons(trials).num_rows == from_tables.failures(trials).num_rows == 0


def test_curves_hold_each_trials_values_by_epoch(state):
    found = from_tables.curves(epochs_table(state), "val_accuracy")
    assert found["t0001"] == ([1, 2, 3], [0.48, 0.588, 0.6528])
    assert "t0005" not in found  # infeasible, never reported


def test_curves_pass_over_epochs_without_the_metric():
    epochs = pa.table({"trial": ["a", "a", "b"], "epoch": [1, 2, 1], "val_loss": [None, 0.5, None]})
    assert from_tables.curves(epochs, "val_loss") == {"a": ([2], [0.5])}


def test_every_state_is_counted_even_if_no_trial_has_it(state):
    counts = count_states(state.trials.values())
    assert list(counts) == list(TrialState)
    assert {state.value: count for state, count in counts.items() if count} == {
        "completed": 4,
        "stopped": 8,
        "infeasible": 1,
        "failed": 1,
    }


def test_cost_adds_up_training_overhead_and_epochs(state, trials):
    cost = from_tables.cost(trials, max_epochs=9)
    reports = [report for trial in state.trials.values() for report in trial.reports]
    assert cost.trial_epochs == len(reports) == 58
    assert cost.train_seconds == sum(report.train_seconds for report in reports)
    assert cost.overhead_seconds["import"] == pytest.approx(13 * 4.1)
    assert tuple(cost.overhead_seconds) == OVERHEAD_KINDS


def test_epochs_saved_count_trials_whose_patience_ended(make_opened, make_proposed, make_reported):
    last = make_reported(0, 1, at=2.0, value=0.5)
    last = replace(last, report={**last.report, "is_last": True})
    trials = trials_table(fold([make_opened(), make_proposed(0, at=1.0), last]))
    assert from_tables.cost(trials, max_epochs=9).epochs_saved == 8


def test_epochs_saved_do_not_count_trials_without_a_result(state, trials):
    stopped = [trial.epoch for trial in state.trials.values() if trial.state is TrialState.STOPPED]
    assert from_tables.cost(trials, max_epochs=9).epochs_saved == sum(9 - epoch for epoch in stopped) == 52


def test_stop_reasons_tell_epoch_and_reason_of_stopped_trials_only(trials):
    reasons = from_tables.stop_reasons(trials).to_pylist()
    assert len(reasons) == 8
    assert reasons[0] == {
        "trial": "t0001",
        "state": "stopped",
        "epoch": 3,
        "reason": "val_accuracy 0.653 is not among the best third at epoch 3",
    }


def test_failures_tell_kind_and_reason(trials):
    assert [(row["trial"], row["failure_kind"]) for row in from_tables.failures(trials).to_pylist()] == [
        ("t0005", "infeasible"),
        ("t0008", "diverged"),
    ]


def test_parameters_that_differ_are_told_from_those_that_do_not(trials):
    every, varying = from_tables.parameter_columns(trials), from_tables.varying_columns(trials)
    assert every[0] == "param.filters"
    assert set(every) - set(varying) == {"param.batch_size"}
