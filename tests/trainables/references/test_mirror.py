"""Left and right are told to differ where mirror images are of other classes, and nowhere else."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.linear_model import Ridge

from trainables.data.cache.prepare import prepare_dataset
from trainables.references import mirror
from trainables.references.mirror import judged, mirror_test
from trainables.specs.data import DataSpec

SIDE = 12


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path / "cache"))


def bars_at(folder, *, places, num_images):
    """Writes grey images of a bright bar, which is at its class's column on noise."""
    random = np.random.default_rng(5)
    for name, column in places.items():
        (folder / name).mkdir(parents=True)
        for number in range(num_images):
            pixels = random.integers(0, 120, (SIDE, SIDE), dtype=np.uint8)
            pixels[:, column] = 220
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return prepare_dataset(DataSpec(source="images", path=str(folder), validation_fraction=0.3, test_fraction=0.1), 1)


def test_bars_whose_mirror_images_are_of_the_other_class_tell_left_from_right(tmp_path):
    tested = mirror_test(bars_at(tmp_path / "bars", places={"aa": 2, "bb": SIDE - 3}, num_images=40))
    assert tested.matters
    assert (tested.upright, tested.mirrored) == (1.0, 0.0)


def test_images_that_are_their_own_mirror_images_say_nothing(tmp_path):
    random = np.random.default_rng(6)
    for name, brightness in (("dark", 60), ("light", 180)):
        (tmp_path / "greys" / name).mkdir(parents=True)
        for number in range(40):
            half = random.integers(brightness - 40, brightness + 40, (SIDE, SIDE // 2), dtype=np.uint8)
            whole = np.hstack([half, half[:, ::-1]])
            Image.fromarray(whole).save(tmp_path / "greys" / name / f"{number}.png")
    dataset = prepare_dataset(DataSpec(source="images", path=str(tmp_path / "greys"), validation_fraction=0.3), 1)
    tested = mirror_test(dataset)
    assert tested.upright == tested.mirrored > 0.9
    assert not tested.matters


def test_digits_differ_from_their_mirror_images():
    tested = mirror_test(prepare_dataset(DataSpec(source="digits"), 7))
    assert tested.matters
    assert tested.upright > 0.9
    assert tested.mirrored < 0.5


@pytest.mark.parametrize("target", [{"kind": "regression"}, {"kind": "multilabel"}])
def test_only_classes_are_looked_at(target):
    column = {"regression": "ink", "multilabel": "quadrants"}[target["kind"]]
    spec = DataSpec(source="digits", targets={column: target})
    assert mirror_test(prepare_dataset(spec, 7)) is None


@pytest.mark.parametrize(("lost", "won"), [(7, 0), (6, 0), (20, 7), (12, 6), (0, 9), (0, 0)])
def test_verdict_is_mcnemars_exact_test_where_much_is_lost(lost, won):
    rest = 10
    truth = np.zeros(lost + won + rest, int)
    upright, mirrored = truth.copy(), truth.copy()
    mirrored[:lost], upright[lost : lost + won] = 1, 1
    tested = judged(truth, upright=upright, mirrored=mirrored, num_classes=10)
    chance = binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0
    share = (lost + rest) / len(truth)
    much = (lost - won) / len(truth) >= 0.25 * (share - 0.1)
    assert tested.matters == (chance < 0.01 and much)


def test_much_is_lost_not_only_surely():
    truth = np.zeros(10_000, int)
    mirrored = truth.copy()
    mirrored[:500] = 1
    assert not judged(truth, upright=truth, mirrored=mirrored, num_classes=2).matters


@pytest.mark.parametrize("num_images", [20, 200])
def test_coefficients_are_the_ridge_regressions(num_images):
    random = np.random.default_rng(8)
    images, labels = random.random((num_images, 60)), random.integers(0, 3, num_images)
    with_ones = np.hstack([images, np.ones((num_images, 1))])
    expected = Ridge(alpha=1.0, fit_intercept=False).fit(with_ones, np.eye(3)[labels]).coef_.T
    np.testing.assert_allclose(mirror._linear(images, labels, num_classes=3), expected, atol=1e-8)
