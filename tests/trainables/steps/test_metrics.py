"""Metrics of targets: scikit-learn's numbers over the whole split, whatever the batches."""

import numpy as np
import pytest
from sklearn import metrics as reference

from trainables.specs.targets import AVERAGES, METRICS, TargetSpec, metric_modes
from trainables.specs.task import Target
from trainables.steps.metrics import make_metrics

SIZE, COUNT = 4, 203


def truth_and_guess(kind):
    generator = np.random.default_rng(11)
    if kind == "classification":
        labels = generator.integers(SIZE, size=COUNT).astype(np.int32)
        # Better than chance, so that no value is trivial.
        return labels, generator.dirichlet(np.ones(SIZE), size=COUNT).astype(np.float32) * 0.6 + 0.4 * (
            np.eye(SIZE, dtype=np.float32)[labels] * generator.random((COUNT, 1)).astype(np.float32)
        )
    if kind == "multilabel":
        flags = generator.integers(2, size=(COUNT, SIZE)).astype(np.uint8)
        return flags, np.clip(0.5 * flags + generator.uniform(0, 0.6, flags.shape), 0, 1).astype(np.float32)
    if kind == "mask":
        masks = generator.choice([*range(SIZE), 255], (COUNT, 3, 2)).astype(np.uint8)
        return masks, generator.dirichlet(np.ones(SIZE), size=masks.shape).astype(np.float32)
    values = generator.normal(3, 2, (COUNT, SIZE)).astype(np.float32)
    return values, values + generator.normal(0, 1, values.shape).astype(np.float32)


def classes(guess):
    return guess.argmax(axis=1)


def of_pixels(score, **options):
    """Returns a score of all pixels that count."""
    return lambda y, p: score(y[y != 255], p.argmax(axis=-1)[y != 255], **options)


EXPECTED = {
    "classification": {
        "accuracy": lambda y, p: reference.accuracy_score(y, classes(p)),
        "top_2_accuracy": lambda y, p: reference.top_k_accuracy_score(y, p, k=2),
        "top_3_accuracy": lambda y, p: reference.top_k_accuracy_score(y, p, k=3),
        "top_5_accuracy": lambda y, p: 1.0,
        "top_10_accuracy": lambda y, p: 1.0,
        "f1_score": lambda y, p: reference.f1_score(y, classes(p), average="macro"),
        "auc": lambda y, p: reference.roc_auc_score(np.eye(SIZE)[y], p, average="macro"),
        "precision": lambda y, p: reference.precision_score(y, classes(p), average="macro"),
        "recall": lambda y, p: reference.recall_score(y, classes(p), average="macro"),
    },
    "multilabel": {
        "accuracy": lambda y, p: np.mean((p > 0.5) == y),
        "f1_score": lambda y, p: reference.f1_score(y, p > 0.5, average="macro"),
        "auc": lambda y, p: reference.roc_auc_score(y, p, average="macro"),
        "precision": lambda y, p: reference.precision_score(y.ravel(), p.ravel() > 0.5),
        "recall": lambda y, p: reference.recall_score(y.ravel(), p.ravel() > 0.5),
    },
    "mask": {
        "iou": of_pixels(reference.jaccard_score, average="macro"),
        "dice": of_pixels(reference.f1_score, average="macro"),
        "pixel_accuracy": of_pixels(reference.accuracy_score),
    },
    "regression": {
        "mae": reference.mean_absolute_error,
        "mse": reference.mean_squared_error,
        "rmse": lambda y, p: reference.mean_squared_error(y, p) ** 0.5,
        "mape": lambda y, p: 100 * reference.mean_absolute_percentage_error(y, p),
        "r2_score": reference.r2_score,
    },
}


def test_every_metric_of_a_study_file_is_checked_here():
    assert {kind: set(names) for kind, names in METRICS.items()} == {
        kind: set(names) for kind, names in EXPECTED.items()
    }


@pytest.mark.parametrize("batch_size", [7, 203])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in METRICS.items() for name in names])
def test_a_metric_is_exact_over_all_images_whatever_the_batches(kind, name, batch_size):
    labels, guess = truth_and_guess(kind)
    (metric,) = make_metrics(
        Target(name="label", kind=kind, size=SIZE, class_names=tuple("abcd"), loss="", metrics=(name,))
    )
    # What an earlier epoch counted must be forgotten.
    metric.update_state(labels[::-1], guess)
    metric.reset_state()
    for start in range(0, COUNT, batch_size):
        metric.update_state(labels[start : start + batch_size], guess[start : start + batch_size])
    # The area under the curve is summed over 1,000 thresholds.
    tolerance = 2e-3 if name == "auc" else 1e-5
    assert metric.name == name
    assert float(metric.result()) == pytest.approx(float(EXPECTED[kind][name](labels, guess)), rel=tolerance)


#: The reference's averages where labels lack some classes or flags, by the word that names the average.
RARE = {
    "classification": {
        "f1_score": lambda y, p, how: reference.f1_score(y, classes(p), average=how, **ALL_CLASSES),
        "precision": lambda y, p, how: reference.precision_score(y, classes(p), average=how, **ALL_CLASSES),
        "recall": lambda y, p, how: reference.recall_score(y, classes(p), average=how, **ALL_CLASSES),
        "auc": lambda y, p, how: mean_auc(np.eye(SIZE)[y], p),
    },
    "multilabel": {
        "accuracy": lambda y, p, how: reference.accuracy_score(y.ravel(), p.ravel() > 0.5),
        "f1_score": lambda y, p, how: reference.f1_score(y, p > 0.5, average=how, zero_division=0),
        "precision": lambda y, p, how: reference.precision_score(y, p > 0.5, average=how),
        "recall": lambda y, p, how: reference.recall_score(y, p > 0.5, average=how),
        "auc": lambda y, p, how: mean_auc(y, p),
    },
}
ALL_CLASSES = {"labels": range(SIZE), "zero_division": 0}


def mean_auc(flags, guess):
    """A column of one value counts 0."""
    columns = [column for column in range(SIZE) if 0 < flags[:, column].mean() < 1]
    return sum(reference.roc_auc_score(flags[:, column], guess[:, column]) for column in columns) / SIZE


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in RARE.items() for name in names])
def test_absent_classes_and_flags_count_as_the_table_of_averages_says(kind, name):
    labels, guess = truth_and_guess(kind)
    if kind == "classification":
        labels %= 3  # the last class has no images
        guess[:, :2] *= 0.1  # classes 0 and 1 are hardly ever guessed
        guess[:, 0] = 0
    else:
        labels[:, 1], labels[:, 2] = 0, 1
    (metric,) = make_metrics(
        Target(name="label", kind=kind, size=SIZE, class_names=tuple("abcd"), loss="", metrics=(name,))
    )
    metric.update_state(labels, guess)
    how = AVERAGES[kind][name].split(":")[0]
    assert how in {"macro", "micro"}
    tolerance = 5e-3 if name == "auc" else 1e-5
    assert float(metric.result()) == pytest.approx(float(RARE[kind][name](labels, guess, how)), rel=tolerance)


def test_every_metric_says_what_it_is_an_average_of():
    assert {kind: set(names) for kind, names in AVERAGES.items()} == {
        kind: set(names) for kind, names in METRICS.items()
    }


def test_a_training_reports_the_metrics_that_the_study_promises(training_of, variant_of, splits, one_thread):
    from dataclasses import replace

    from trainables.specs.task import Task
    from trainables.specs.worker import TrainingSpec
    from trainables.training.training import Training, TrainingRequest

    names = ("accuracy", "top_2_accuracy", "f1_score", "auc")
    task = Task.classification(input_shape=(8, 8, 1), num_classes=10)
    task = replace(task, targets=(replace(task.targets[0], metrics=names),))
    spec = TrainingSpec(max_epochs=1, metric="val_f1_score", mode="max")
    report = Training(
        TrainingRequest(variant=variant_of(), train=splits[0], validation=splits[1], task=task, spec=spec)
    ).run_epoch()
    assert set(report.metrics) == set(metric_modes({"label": TargetSpec(metrics=names)}))


def test_better_is_up_or_down_as_fits_the_metric():
    modes = metric_modes({"digit": TargetSpec(), "ink": TargetSpec(kind="regression", metrics=("mae", "r2_score"))})
    assert modes["val_digit_accuracy"] == modes["val_ink_r2_score"] == "max"
    assert modes["val_ink_mae"] == modes["val_ink_loss"] == modes["val_loss"] == "min"
