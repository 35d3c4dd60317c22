"""The guesses reach what scikit-learn's own metrics and estimators say, on every kind of target and storage."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics
from sklearn.neighbors import NearestCentroid

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.references import guesses
from trainables.references.guesses import most_rows, reference_rows
from trainables.references.in_process import references_in_process
from trainables.references.pixels import area_means, small_pixels
from trainables.references.scores import class_scores, flag_scores, mask_scores, value_scores
from trainables.specs.data import DataSpec
from trainables.specs.task import Target, Task

EVERY_METRIC = {
    "label": {"metrics": ["accuracy", "top_3_accuracy", "f1_score", "precision", "recall", "auc"]},
    "ink": {"kind": "regression", "metrics": ["mae", "mse", "rmse", "mape", "r2_score"]},
    "quadrants": {"kind": "multilabel", "metrics": ["accuracy", "f1_score", "precision", "recall"]},
}


def target(kind, size, *names):
    return Target(name="label", kind=kind, size=size, loss="mean_squared_error", metrics=names)


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path))
    return prepare_dataset(DataSpec(source="digits"), 7)


def split_of(dataset, name):
    split = getattr(dataset, name)
    rows = np.asarray(split.indices)
    return np.asarray(split.images[rows], np.float64).reshape(len(rows), -1) / 255.0, split.labels["label"][rows]


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
def test_rows_of_classes_are_what_scikit_learn_reaches(digits):
    dataset = open_dataset(digits)
    rows = {row["name"]: row for row in reference_rows(dataset)}
    assert list(rows) == ["majority class", "nearest class mean", "logistic regression on pixels"]
    images, labels = split_of(dataset, "train")
    for split, prefix in (("validation", "val"), ("test", "test")):
        others, truth = split_of(dataset, split)
        majority = np.mean(truth == np.bincount(labels).argmax())
        nearest = NearestCentroid().fit(images, labels).score(others, truth)
        assert rows["majority class"]["metrics"][f"{prefix}_accuracy"] == pytest.approx(majority)
        assert rows["nearest class mean"]["metrics"][f"{prefix}_accuracy"] == pytest.approx(nearest, abs=1e-9)
        assert rows["logistic regression on pixels"]["metrics"][f"{prefix}_accuracy"] > 0.93
    assert [row["is_blind"] for row in rows.values()] == [True, False, False]


def test_every_target_has_rows_of_its_own_with_its_metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path))
    spec = DataSpec.model_validate({"source": "digits", "targets": EVERY_METRIC})
    rows = {row["name"]: row["metrics"] for row in reference_rows(open_dataset(prepare_dataset(spec, 7)))}
    assert list(rows) == [
        "majority class for label",
        "nearest class mean for label",
        "logistic regression on pixels for label",
        "mean for ink",
        "ridge regression on pixels for ink",
        "majority of each flag for quadrants",
    ]
    assert rows["mean for ink"]["val_ink_r2_score"] == pytest.approx(0.0, abs=0.02)
    assert rows["ridge regression on pixels for ink"]["test_ink_r2_score"] > 0.99
    # Two of the four flags are set in more than half of the images.
    assert rows["majority of each flag for quadrants"]["test_quadrants_accuracy"] > 0.55
    assert "val_label_auc" not in rows["majority class for label"]


def test_scores_of_classes_are_scikit_learns():
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 4, 60), random.normal(size=(60, 5))
    found = class_scores(
        target("classification", 5, "top_2_accuracy", "f1_score", "precision", "recall", "top_of:mine"),
        truth=truth,
        scores=scores,
    )
    guess, every = scores.argmax(axis=1), {"average": "macro", "labels": range(5), "zero_division": 0}
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, guess),
            "top_2_accuracy": metrics.top_k_accuracy_score(truth, scores, k=2, labels=range(5)),
            "f1_score": metrics.f1_score(truth, guess, **every),
            "precision": metrics.precision_score(truth, guess, **every),
            "recall": metrics.recall_score(truth, guess, **every),
        }
    )


def test_scores_of_flags_are_scikit_learns():
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 2, (40, 3)).astype(np.uint8), np.array([True, False, True])
    found = flag_scores(target("multilabel", 3, "f1_score", "precision", "recall"), truth=truth, guess=guess)
    every = np.broadcast_to(guess, truth.shape).astype(int)
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth.ravel(), every.ravel()),
            "f1_score": metrics.f1_score(truth, every, average="macro", zero_division=0),
            "precision": metrics.precision_score(truth, every, average="micro"),
            "recall": metrics.recall_score(truth, every, average="micro"),
        }
    )


def test_scores_of_numbers_are_scikit_learns():
    random = np.random.default_rng(0)
    truth, guess = random.normal(5, 1, (40, 2)).astype(np.float32), random.normal(5, 1, (40, 2))
    found = value_scores(target("regression", 2, "mae", "mse", "rmse", "mape", "r2_score"), truth=truth, guess=guess)
    assert found == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(truth, guess),
            "mse": metrics.mean_squared_error(truth, guess),
            "rmse": metrics.mean_squared_error(truth, guess) ** 0.5,
            "mape": 100 * metrics.mean_absolute_percentage_error(truth, guess),
            "r2_score": metrics.r2_score(truth, guess),
        }
    )


def test_scores_of_masks_are_scikit_learns():
    truth = np.repeat([0, 1, 3], [50, 30, 20])
    found = mask_scores(target("mask", 4, "iou", "dice"), pixels=np.bincount(truth, minlength=4), guess=0)
    guess, present = np.zeros_like(truth), [0, 1, 3]
    assert found == pytest.approx(
        {
            "pixel_accuracy": 0.5,
            "iou": metrics.jaccard_score(truth, guess, average="macro", labels=present),
            "dice": metrics.f1_score(truth, guess, average="macro", labels=present, zero_division=0),
        }
    )


def test_masks_have_a_row_that_leaves_uncounted_pixels_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    masks = random.choice([0, 1, 255], size=(40, 8, 8), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    images = random.integers(0, 255, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "masks.npz", x_train=images, y_train=masks, class_names=np.array(["ground", "thing"]))
    targets = {"label": {"kind": "mask", "column": "y", "metrics": ["iou", "pixel_accuracy"]}}
    path = str(tmp_path / "masks.npz")
    info = prepare_dataset(DataSpec.model_validate({"source": "npz", "path": path, "targets": targets}), 7)
    (row,) = reference_rows(open_dataset(info))
    assert row["name"] == "majority class of all pixels"
    validation = open_dataset(info).validation
    held = np.asarray(validation.labels["label"][validation.indices])
    assert row["metrics"]["val_pixel_accuracy"] == pytest.approx(np.mean(held[held != 255] == 0))
    assert row["metrics"]["val_iou"] == pytest.approx(np.mean(held[held != 255] == 0) / 2)


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (48, 32), (50, 70)])
def test_small_pixels_are_means_of_equal_areas(size):
    class Whole:
        images = np.random.default_rng(1).integers(0, 255, (3, *size, 3), np.uint8)

    found = small_pixels(Whole, np.arange(3)).reshape(3, min(size[0], 16), min(size[1], 16), 3)
    assert found.mean(axis=(1, 2)) == pytest.approx(Whole.images.mean(axis=(1, 2)) / 255.0, abs=1e-5)
    if size == (48, 32):
        blocks = Whole.images.reshape(3, 16, 3, 16, 2, 3).mean(axis=(2, 4)) / 255.0
        assert found == pytest.approx(blocks, abs=1e-5)
    assert area_means(size[0], 7).sum(axis=1) == pytest.approx(np.ones(7))


def test_only_some_images_are_looked_at_and_said(digits, monkeypatch):
    monkeypatch.setattr(guesses, "MOST_ROWS", 50)
    blind, *looking = reference_rows(open_dataset(digits))
    assert blind["images"] == {"validation": digits.num_validation, "test": digits.num_test}
    assert [row["images"] for row in looking] == [{"validation": 50, "test": 50}] * 2
    assert all((row["metrics"]["val_accuracy"] * 50) % 1 == pytest.approx(0.0, abs=1e-9) for row in looking)


def test_large_and_streamed_images_are_looked_at_less_often(digits):
    large = replace(digits, task=Task.classification(input_shape=(1_000, 1_000, 3), num_classes=2))
    assert [most_rows(digits), most_rows(replace(digits, storage="encoded")), most_rows(large)] == [5_000, 1_000, 166]


def test_streamed_images_give_the_rows_of_decoded_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for number in range(60):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 200, (20, 24, 3), np.uint8) + np.uint8(30 * (number % 2))
        Image.fromarray(pixels).save(path)
    spec = DataSpec.model_validate({"source": "images", "path": str(tmp_path / "images"), "test_fraction": 0.2})
    decoded, encoded = (
        reference_rows(open_dataset(prepare_dataset(spec, 7, storage=storage))) for storage in ("decoded", "encoded")
    )
    assert decoded == encoded
    assert decoded[-1]["metrics"]["test_accuracy"] > 0.9


def test_lone_class_has_a_majority_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path))
    dataset = open_dataset(prepare_dataset(DataSpec(source="digits"), 7))
    np_labels = dict(dataset.train.labels)
    np_labels["label"] = np.zeros_like(np_labels["label"])
    changed = type(dataset)(
        info=dataset.info,
        train=type(dataset.train)(images=dataset.train.images, labels=np_labels, indices=dataset.train.indices),
        validation=dataset.validation,
        test=dataset.test,
    )
    assert [row["name"] for row in reference_rows(changed)] == ["majority class"]


@pytest.mark.slow
def test_child_process_of_low_priority_answers_the_same(digits, tmp_path):
    found = references_in_process(digits)
    assert found["rows"] == reference_rows(open_dataset(digits))
    assert found["seconds"] > 0
    code = (
        "import os, sys\n"
        "import trainables.references.in_process as child\n"
        "told = lambda: print(os.nice(0), os.environ['OMP_NUM_THREADS'], 'numpy' in sys.modules)\n"
        "child.answer_caller = lambda work: told() or 0\n"
        "child._SESSION_PRIORITY = child.Path(sys.argv[1])\n"
        "child.main()"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "autogroup")], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["10", "1", "False"]
    assert (tmp_path / "autogroup").read_text() == "10"
    assert json.dumps(found)
