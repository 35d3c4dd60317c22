"""Trials that go on from others, in the fold: whose reports are whose, and what an extended study makes of them."""

from dataclasses import replace
from typing import Any

import pytest
from made_up_journals import report, variant

from orchestrator.errors import JournalError
from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyOpened,
    TrialProposed,
    TrialReplaced,
)
from orchestrator.journal.study_state import StudyState, fold, inherited_reports
from orchestrator.journal.trial import TrialState
from orchestrator.results.from_tables import cost
from orchestrator.results.tables import trials_table
from orchestrator.study.sections import Search
from orchestrator.tuning.budgets import Budgets

COST = {"parameters": 100.0}


def proposed(number: int) -> TrialProposed:
    params = variant(number, patience=2)
    return TrialProposed(trial=f"t{number:04d}", number=number, variant=params, at=1.0)


def reported(name: str, epoch: int, value: float, *, max_epochs: int = 4) -> EpochReported:
    told = report(epoch, value, max_epochs=max_epochs) | ({"cost": COST} if epoch == 1 else {})
    return EpochReported(trial=name, report=told, worker={"cpus": 2.0}, at=2.0 + epoch)


def replaced(number: int, *, parent: str, from_epoch: int, replaces: str, epoch: int) -> TrialReplaced:
    return TrialReplaced(
        trial=f"t{number:04d}",
        number=number,
        variant=variant(number, patience=2),
        parent=parent,
        from_epoch=from_epoch,
        replaces=replaces,
        epoch=epoch,
        reason="pbt: weak",
        at=9.0,
    )


def opening() -> list[Record]:
    opened = StudyOpened(
        schema=2, study="s", seed=0, metric="val_accuracy", mode="max", max_epochs=4, num_trials=9, at=0.0
    )
    return [opened, SessionStarted(driver_pid=1, slots=1, at=0.5), proposed(0), proposed(1)]


@pytest.fixture
def lineage() -> list[Record]:
    """t0000 trains to the end; t0002 goes on from its epoch 2 for t0001; t0003 from that one's epoch 3 for t0000."""
    return [
        *opening(),
        *(reported("t0000", epoch, 0.9 - 0.1 * epoch) for epoch in (1, 2, 3)),
        *(reported("t0001", epoch, 0.1) for epoch in (1, 2)),
        replaced(2, parent="t0000", from_epoch=2, replaces="t0001", epoch=2),
        reported("t0002", 3, 0.65),
        replaced(3, parent="t0002", from_epoch=3, replaces="t0000", epoch=3),
        reported("t0003", 4, 0.5),
    ]


def test_each_report_is_one_trials_own_and_forebears_are_known(lineage: list[Record]) -> None:
    state = fold(lineage)
    assert {name: [item.epoch for item in trial.reports] for name, trial in state.trials.items()} == {
        "t0000": [1, 2, 3],
        "t0001": [1, 2],
        "t0002": [3],
        "t0003": [4],
    }
    forebears = list(inherited_reports(state, state.trials["t0003"]))
    assert [(item.epoch, round(item.metrics["val_accuracy"], 2)) for item in forebears] == [
        (1, 0.8),
        (2, 0.7),
        (3, 0.65),
    ]
    assert [trial.num_epochs for trial in state.trials.values()] == [3, 2, 1, 1]
    assert [trial.state for trial in state.trials.values()][3] is TrialState.COMPLETED
    best = state.trials["t0003"].best_report(metric="val_accuracy", mode="max")
    assert best is not None
    assert best.epoch == 4


def test_tables_and_budgets_count_each_epoch_once(lineage: list[Record]) -> None:
    state = fold(lineage)
    rows = trials_table(state).to_pylist()
    assert [(row["parent"], row["from_epoch"], row["replaces"], row["epochs"]) for row in rows] == [
        (None, None, None, 3),
        (None, None, None, 2),
        ("t0000", 2, "t0001", 1),
        ("t0002", 3, "t0000", 1),
    ]
    # Replaced trials saved nothing, as others train on in their places.
    taken = cost(trials_table(state), max_epochs=4)
    assert (taken.trial_epochs, taken.epochs_saved, taken.train_seconds) == (7, 0, 7.0)

    class Recording:
        def __init__(self, state: StudyState) -> None:
            self.state = state

        def now(self) -> float:
            return 10.0

        def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
            """Does nothing."""

    assert [Budgets(Recording(state), Search(epochs=most)).is_over for most in (7, 8)] == [True, False]
    # The same architecture costs the same: a trial that goes on measures nothing.
    assert [row["parameters"] for row in rows] == [100] * 4


@pytest.mark.parametrize(("last", "state"), [(0.5, TrialState.COMPLETED), (0.95, TrialState.PAUSED)])
def test_patience_of_an_extended_study_counts_on_from_the_forebears(
    lineage: list[Record], last: float, state: TrialState
) -> None:
    records = [*lineage[:-1], reported("t0003", 4, last)]
    change: dict[str, Any] = {"change": "longer", "study": "", "replaces": "", "study_id": "i", "num_trials": 9}
    trial = fold([*records, StudyExtended(max_epochs=8, at=20.0, **change)]).trials["t0003"]
    # Its best epoch is the first of t0000: three without a better one are more than its patience of two.
    assert (trial.state if trial.has_ended else TrialState.PAUSED) is state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parent": "t0009"}, "an epoch that 't0009' has not trained"),
        ({"parent": "t0001"}, "an epoch that 't0001' has not trained"),
        ({"from_epoch": 4}, "an epoch that 't0000' has not trained"),
        ({"from_epoch": 0}, "from_epoch: expected at least 1, got 0"),
        ({"replaces": "t0009"}, "replaces 't0009', which does not train at that epoch"),
        ({"epoch": 1}, "replaces 't0001', which does not train at that epoch"),
        ({"trial": "t0007"}, "trial: expected t0002, got 't0007'"),
    ],
)
def test_record_that_cannot_be_true_is_refused(lineage: list[Record], change: dict[str, Any], message: str) -> None:
    record = lineage[9]
    assert isinstance(record, TrialReplaced)
    with pytest.raises(JournalError, match=message):
        fold([*lineage[:9], replace(record, **change)])


def test_trial_that_has_ended_is_not_replaced(lineage: list[Record]) -> None:
    again = replaced(4, parent="t0002", from_epoch=3, replaces="t0001", epoch=2)
    with pytest.raises(JournalError, match="replaces 't0001', which does not train"):
        fold([*lineage, again])
