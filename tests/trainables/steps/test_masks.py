"""Metrics and losses of masks equal scikit-learn's and NumPy's of all counted pixels, whatever the batches."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from trainables.specs.targets import LOSSES, METRICS
from trainables.specs.task import Target

SIZE = 4
GENERATOR = np.random.default_rng(8)
TRUTH = GENERATOR.choice([0, 1, 2, 255], (37, 5, 6), p=[0.5, 0.2, 0.2, 0.1]).astype(np.uint8)
SCORES = GENERATOR.normal(size=(37, 5, 6, SIZE)) + 1.5 * (TRUTH[..., None] == np.arange(SIZE)) - [0, 0, 0, 9]
CHANCES = (np.exp(SCORES) / np.exp(SCORES).sum(axis=-1, keepdims=True)).astype(np.float32)
COUNTED = TRUTH != 255

pytestmark = pytest.mark.usefixtures("one_thread")


def target_of(loss="categorical_crossentropy", size=SIZE):
    return Target(name="m", kind="mask", size=size, loss=loss, metrics=tuple(METRICS["mask"]))


def measured(truth, chances, *, batch=8):
    from trainables.steps.metrics import make_metrics

    metrics = make_metrics(target_of(size=chances.shape[-1]))
    for start in range(0, len(truth), batch):
        for metric in metrics:
            metric.update_state(truth[start : start + batch], chances[start : start + batch])
    return {metric.name: float(metric.result()) for metric in metrics}


@pytest.mark.parametrize("batch", [1, 8, 37])
def test_metrics_are_scikit_learns_over_all_counted_pixels(batch):
    true, guess = TRUTH[COUNTED], CHANCES.argmax(axis=-1)[COUNTED]
    # Class 3 is nowhere: neither in masks nor in predictions, and in no mean.
    assert set(np.unique([*true, *guess])) == {0, 1, 2}
    assert measured(TRUTH, CHANCES, batch=batch) == pytest.approx(
        {
            "iou": jaccard_score(true, guess, average="macro"),
            "dice": f1_score(true, guess, average="macro"),
            "pixel_accuracy": accuracy_score(true, guess),
        },
        abs=1e-7,
    )


def test_a_class_that_is_only_predicted_counts_zero():
    chances = np.eye(2, dtype=np.float32)[[[[0, 1]]]]
    assert measured(np.zeros((1, 1, 2), np.uint8), chances) == {
        "iou": 0.25,
        "dice": pytest.approx(1 / 3),
        "pixel_accuracy": 0.5,
    }


def test_metrics_forget_all_and_are_zero_before_any_pixel():
    from trainables.steps.metrics import make_metrics

    for metric in make_metrics(target_of()):
        metric.update_state(TRUTH, CHANCES)
        metric.reset_state()
        assert float(metric.result()) == 0.0
        metric.update_state(np.full_like(TRUTH, 255), CHANCES)
        assert float(metric.result()) == 0.0


def test_more_pixels_than_float32_counts_are_counted():
    from trainables.steps.metrics import make_metrics

    metric = make_metrics(SimpleNamespace(kind="mask", size=2, metrics=("pixel_accuracy",)))[0]
    metric.table.assign(np.array([[2**25, 0], [0, 0]]))
    chances = np.eye(2, dtype=np.float32)[[[[0]]]]
    metric.update_state(np.ones((1, 1, 1), np.uint8), chances)
    assert metric.table.numpy().sum() == 2**25 + 1


def loss_of(truth, chances, *, loss, smoothing=0.0):
    from trainables.steps.losses import TargetLoss

    return np.asarray(TargetLoss(target_of(loss), smoothing=smoothing)(truth.astype(np.float32), chances))


def expected_loss(truth, chances, *, loss, smoothing):
    """Returns one image's loss with NumPy in float64."""
    counted = truth != 255
    chances = np.clip(chances.astype(np.float64), 1e-7, 1 - 1e-7)
    hot = np.eye(SIZE)[np.where(counted, truth, 0)] * (1 - smoothing) + smoothing / SIZE
    if loss == "dice":
        hot, chances = hot[counted], chances[counted]
        return 1 - ((2 * (hot * chances).sum(axis=0) + 1) / ((hot + chances).sum(axis=0) + 1)).mean()
    pixels = -(hot * np.log(chances)).sum(axis=-1)
    if loss == "categorical_focal_crossentropy":
        pixels = -(hot * 0.25 * (1 - chances) ** 2 * np.log(chances)).sum(axis=-1)
    return pixels[counted].mean() if counted.any() else 0.0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", LOSSES["mask"])
def test_the_loss_of_an_image_is_the_one_of_its_counted_pixels(loss, smoothing):
    got = loss_of(TRUTH, CHANCES, loss=loss, smoothing=smoothing)
    assert got.shape == (37,)
    expected = [expected_loss(*pair, loss=loss, smoothing=smoothing) for pair in zip(TRUTH, CHANCES, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=2e-4)


@pytest.mark.parametrize("loss", LOSSES["mask"])
def test_pixels_that_do_not_count_have_no_say_in_the_loss(loss):
    other = CHANCES.copy()
    other[~COUNTED] = np.roll(other[~COUNTED], 1, axis=-1)
    assert np.array_equal(loss_of(TRUTH, CHANCES, loss=loss), loss_of(TRUTH, other, loss=loss))
    assert np.isfinite(loss_of(np.full_like(TRUTH, 255), CHANCES, loss=loss)).all()
