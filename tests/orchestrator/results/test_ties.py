"""Equal values: the lower loss decides between epochs and between trials, in every place that ranks."""

import pytest

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.from_state import best_so_far
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.ranking import ranked_trials
from orchestrator.results.tables import trials_table
from search_spaces import Variant
from trainables.patience import best_epoch
from trainables.reports import EpochReport

#: (val_accuracy, val_loss) by epoch and trial.
CURVES = {
    "t0000": [(0.5, 1.0), (1.0, 0.4), (1.0, 0.1), (1.0, 0.1), (0.9, 0.01)],
    "t0001": [(1.0, 0.3), (1.0, 0.05), (1.0, 0.06)],
    "t0002": [(0.9, 0.0001)],
    "t0003": [(1.0, 0.3)],
}


def reports(curve):
    return [
        EpochReport(
            epoch=epoch,
            metrics={"val_accuracy": value, "val_loss": loss},
            train_seconds=1.0,
            images_per_second=1.0,
            is_last=epoch == len(curve),
        )
        for epoch, (value, loss) in enumerate(curve, start=1)
    ]


@pytest.fixture
def state():
    def make(ties):
        opened = StudyOpened(
            schema=1,
            study="s",
            seed=0,
            metric="val_accuracy",
            mode="max",
            max_epochs=9,
            num_trials=4,
            ties=ties,
            at=0.0,
        )
        found = StudyState(opened=opened)
        for number, (name, curve) in enumerate(CURVES.items()):
            variant = Variant(family="sequential", params={"filters": number + 1}, seed=0)
            trial = Trial(name=name, number=number, variant=variant, proposed_at=0.0)
            trial.reports, trial.reported_at = reports(curve), [float(at) for at in range(len(curve))]
            assert trial.state is TrialState.COMPLETED
            found.trials[name] = trial
        return found

    return make


@pytest.mark.parametrize(
    ("ties", "order", "epochs"),
    [
        ("", ["t0003", "t0001", "t0000", "t0002"], [1, 1, 2, 1]),
        ("val_loss", ["t0001", "t0000", "t0003", "t0002"], [2, 3, 1, 1]),
    ],
)
def test_every_ranking_is_the_same(state, ties, order, epochs):
    found = state(ties)
    header = found.header
    ranked = ranked_trials(found.trials.values(), **header.ranking)
    assert [trial.name for trial, _ in ranked] == order
    assert [report.epoch for _, report in ranked] == epochs
    board = leaderboard(trials_table(found), **header.ranking)
    assert board["trial"].to_pylist() == order
    assert board["best_epoch"].to_pylist() == epochs
    assert best_so_far(found)[0].name == order[0]
    for trial, report in ranked:
        assert best_epoch(trial.reports, metric="val_accuracy", mode="max", ties=ties) == report.epoch


def test_a_report_without_the_loss_comes_after_those_that_have_it(state):
    found = state("val_loss")
    trial = found.trials["t0001"]
    trial.reports[1] = EpochReport(epoch=2, metrics={"val_accuracy": 1.0}, train_seconds=1.0, images_per_second=1.0)
    assert trial.best_report(**found.header.ranking).epoch == 3
    board = leaderboard(trials_table(found), **found.header.ranking)
    assert board["trial"].to_pylist()[0] == "t0001"


def test_the_study_says_by_what_and_old_studies_keep_their_order():
    from orchestrator.driver.auto_schedule import with_numbers
    from orchestrator.study.loading import load_study
    from trainables.specs.dataset import DatasetInfo
    from trainables.specs.pixels import PixelStatistics
    from trainables.specs.task import Task

    images = DatasetInfo(
        key="k",
        split_key="s",
        folder="",
        task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
        statistics=PixelStatistics(means=(0.0,), deviations=(1.0,)),
        num_train=4000,
        num_validation=1000,
        num_test=10,
        fingerprint="f",
    )
    base = {"name": "s", "data": {"source": "digits"}, "space": {"family": "sequential", "params": {"filters": 8}}}
    auto = with_numbers(load_study(base), images)[0]
    assert auto.objective.tie_metric == "val_loss"
    numbers = {**base, "schedule": {"max_epochs": 5, "grace_epochs": 1}}
    assert with_numbers(load_study(numbers), images)[0].objective.tie_metric == ""
    asked = with_numbers(load_study({**base, "objective": {"ties": "earliest"}}), images)[0]
    assert asked.objective.tie_metric == ""
