"""A trial without a better epoch ends by itself, completed, saying why."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.patience import reason_to_end, with_patience
from trainables.reports import EpochReport

REPORT = EpochReport(epoch=1, metrics={}, train_seconds=1.0, images_per_second=1.0)


def history(*values, metric="val_loss"):
    return [replace(REPORT, epoch=epoch, metrics={metric: value}) for epoch, value in enumerate(values, start=1)]


CASES = [
    # values, mode, patience, the epoch at which it ends
    ((3, 2, 1, 0), "min", 1, None),
    ((3, 2, 2, 2), "min", 1, 3),
    ((3, 2, 2, 2), "min", 2, 4),
    ((3, 2, 4, 1, 5, 5), "min", 2, 6),
    ((1, 2, 3), "max", 1, None),
    ((3, 2, 1), "max", 2, 3),
    ((3, 2, 1, 1, 1, 1), "max", 0, None),
]


@pytest.mark.parametrize(("values", "mode", "patience", "end"), CASES)
def test_patience_ends_after_so_many_epochs_without_a_better_one(values, mode, patience, end):
    told = history(*values)
    ends = [
        report.epoch
        for report in told
        if reason_to_end(told[: report.epoch], metric="val_loss", mode=mode, patience=patience)
    ]
    assert ends[:1] == ([end] if end else [])


def test_the_reason_names_the_best_epoch_and_the_wait():
    reason = reason_to_end(history(0.5, 0.25, 0.4, 0.3), metric="val_loss", mode="min", patience=2)
    assert reason == "patience: no val_loss better than 0.2500 of epoch 2 in 2 epochs"


def test_the_reason_names_the_margin():
    reason = reason_to_end(history(0.5, 0.25, 0.24, 0.23), metric="val_loss", mode="min", patience=2, min_delta=0.05)
    assert reason == "patience: no val_loss better than 0.2500 of epoch 2 by more than 0.05 in 2 epochs"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_margins_count_as_in_keras(mode):
    import keras

    generator, ended = np.random.default_rng(3), 0
    for _ in range(300):
        values = np.round(generator.uniform(size=12), generator.integers(1, 4)).tolist()
        patience, min_delta = int(generator.integers(1, 5)), float(generator.choice([0.0, 0.0107, 0.1003, 0.2501]))
        stopping = keras.callbacks.EarlyStopping("val_loss", min_delta=min_delta, patience=patience, mode=mode)
        stopping.set_model(keras.Sequential())
        stopping.model.stop_training = False
        stopping.on_train_begin()
        told = history(*values)
        for report in told:
            stopping.on_epoch_end(report.epoch - 1, report.metrics)
            reason = reason_to_end(
                told[: report.epoch], metric="val_loss", mode=mode, patience=patience, min_delta=min_delta
            )
            assert bool(reason) == stopping.model.stop_training, (values, patience, min_delta, report.epoch)
            if reason:
                ended += 1
                break
    assert ended > 100


def test_the_studys_last_epoch_needs_no_other_reason():
    *before, last = history(1.0, 2.0)
    ended = with_patience(replace(last, is_last=True), before, metric="val_loss", mode="min", patience=1)
    assert (ended.is_last, ended.reason) == (True, "")


@pytest.fixture(scope="module")
def standing(one_thread, training_of, variant_of):
    """A training whose accuracy soon stands still, because its learning rate is next to nothing."""
    variant = variant_of(learning_rate=1e-8, batch_norm=False, dropout=0.0, patience=2)
    training = training_of(variant, max_epochs=9)
    return training, list(training.epochs())


def test_a_training_ends_when_its_patience_does(standing):
    training, reports = standing
    assert [report.is_last for report in reports] == [False, False, True]
    assert [report.reason for report in reports[:2]] == ["", ""]
    assert reports[2].reason.startswith("patience: no val_accuracy better than 0.")
    assert reports[2].reason.endswith("of epoch 1 in 2 epochs")
    assert training.history == reports
    assert list(training.epochs()) == []


def test_a_resumed_training_remembers_how_long_it_has_waited(standing, training_of):
    training, reports = standing
    resumed = training_of(training.variant, max_epochs=9)
    resumed.load_state(training.state(), history=reports[:2])
    assert [(report.epoch, report.is_last) for report in resumed.epochs()] == [(3, True)]


def test_a_resumed_training_counts_by_the_same_margin(standing, training_of, variant_of):
    training, reports = standing
    values = [0.1, 0.2, 0.25]
    told = [replace(report, metrics={"val_accuracy": value}) for report, value in zip(reports, values, strict=True)]
    told = [replace(report, is_last=False, reason="") for report in told]
    variant = variant_of(**training.variant.params | {"min_delta": 0.2})
    resumed = training_of(variant, max_epochs=9)
    resumed.load_state(training.state(), history=told)
    assert (
        resumed.history[-1].reason
        == "patience: no val_accuracy better than 0.1000 of epoch 1 by more than 0.2 in 2 epochs"
    )
    resumed = training_of(variant_of(**training.variant.params | {"min_delta": 0.05}), max_epochs=9)
    resumed.load_state(training.state(), history=told)
    assert not resumed.history[-1].is_last


def test_a_report_keeps_its_reason_and_its_cost_as_json():
    report = replace(REPORT, is_last=True, reason="patience: enough", cost={"parameters": 9.0})
    assert EpochReport.from_json(report.to_json()) == report
    old = {"epoch": 1, "metrics": {}, "train_seconds": 1.0, "images_per_second": 1.0, "is_last": True}
    assert EpochReport.from_json(old).reason == ""
