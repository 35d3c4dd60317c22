"""Normalisation: constants of the model's first layer, learned from the training rows alone."""

import keras
import numpy as np
import pytest

from search_spaces import Variant
from trainables.checkpoint import Checkpoint
from trainables.data.dataset import Split
from trainables.data.pipeline import split_tensors
from trainables.data.statistics import needed_statistics, pixel_statistics
from trainables.families import FAMILIES, build_model
from trainables.normalization import NORMALIZATIONS, PixelStatistics, pixel_scaling
from trainables.training import Training, restored_model
from trainables.worker_spec import TrainingSpec

pytestmark = pytest.mark.usefixtures("one_thread")

STATISTICS = PixelStatistics(means=(10.0, 100.0, 200.0), deviations=(5.0, 50.0, 0.0))
FORMULAS = {
    "scale": lambda pixels: pixels / 255,
    "symmetric": lambda pixels: pixels / 127.5 - 1,
    "standardize": lambda pixels: (pixels - [10, 100, 200]) / [5, 50, 1],
}


def first_layer(model):
    """Returns what the model makes of pixels before its first convolution."""
    return keras.Model(model.inputs, model.get_layer("scale").output)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_scales_pixels_as_its_parameter_says_also_when_loaded_by_plain_keras(
    family, normalization, tmp_path
):
    variant = Variant(family=family, params={"normalization": normalization}, seed=1)
    model = build_model(variant, input_shape=(8, 8, 3), num_classes=4, statistics=STATISTICS)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.float32)
    expected = FORMULAS[normalization](pixels)
    np.testing.assert_allclose(first_layer(model).predict(pixels, verbose=0), expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0))
    np.testing.assert_allclose(first_layer(loaded).predict(pixels, verbose=0), expected, atol=1e-4)


def test_the_default_is_the_scale_from_zero_to_one():
    assert {family.with_defaults({})["normalization"] for family in FAMILIES.values()} == {"scale"}
    assert (pixel_scaling("scale").scale, pixel_scaling("scale").offset) == (1 / 255, 0.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("standardize", "normalization 'standardize' needs the training split's statistics, got none"),
        ("minmax", "normalization must be one of scale, standardize, symmetric, got 'minmax'"),
    ],
)
def test_what_cannot_be_scaled_is_told(name, words):
    with pytest.raises(ValueError, match=words):
        pixel_scaling(name)


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 10**9])
def test_statistics_are_those_of_numpy_in_float64_whatever_the_chunks(monkeypatch, chunk_bytes):
    monkeypatch.setattr("trainables.data.statistics._CHUNK_BYTES", chunk_bytes)
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (50, 5, 7, 3)).astype(np.uint8)
    images[..., 2] = 17
    rows = np.sort(generator.permutation(50)[:31])
    statistics = pixel_statistics(images, rows)
    chosen = images[rows].astype(np.float64)
    np.testing.assert_allclose(statistics.means, chosen.mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(statistics.deviations, chosen.std(axis=(0, 1, 2)), rtol=1e-13, atol=1e-13)
    assert (statistics.means[2], statistics.deviations[2]) == (17.0, 0.0)


def test_statistics_are_computed_only_where_they_are_asked_for():
    images = np.zeros((2, 1, 1, 1), np.uint8)
    for normalization in ("scale", "symmetric"):
        assert needed_statistics({"normalization": normalization}, images=images, indices=np.arange(2)) is None
    assert needed_statistics({}, images=images, indices=np.arange(2)) is None
    found = needed_statistics({"normalization": "standardize"}, images=images, indices=np.arange(2))
    assert found == PixelStatistics(means=(0.0,), deviations=(0.0,))


@pytest.fixture(scope="module")
def unlike_splits():
    """Dark training images and bright validation images, rows of one array in turn."""
    generator = np.random.default_rng(4)
    images = generator.integers(0, 60, (80, 8, 8, 3)).astype(np.uint8)
    images[1::2] += 180
    labels = generator.integers(0, 4, 80).astype(np.int32)
    parts = (np.arange(0, 80, 2, dtype=np.int32), np.arange(1, 80, 2, dtype=np.int32))
    return [split_tensors(Split(images=images, labels=labels, indices=part)) for part in parts]


@pytest.mark.parametrize("family", FAMILIES)
def test_standardisation_is_learned_from_training_rows_alone_and_restored_as_it_was(family, unlike_splits, variant_of):
    train, validation = unlike_splits
    variant = variant_of(family, normalization="standardize")
    spec = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
    training = Training(variant, train=train, validation=validation, num_classes=4, spec=spec)
    report = training.run_epoch()
    pixels = np.asarray(train.images)[train.indices].astype(np.float32)
    standard = first_layer(training.model).predict(pixels, verbose=0)
    np.testing.assert_allclose(standard.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=(0, 1, 2)), 1, atol=1e-4)

    model = restored_model(
        variant,
        Checkpoint(variant_id=variant.variant_id, state=training.state(), history=[report]),
        input_shape=(8, 8, 3),
        num_classes=4,
        statistics=needed_statistics(variant.params, images=train.images, indices=train.indices),
    )
    np.testing.assert_array_equal(model.predict(pixels, verbose=0), training.model.predict(pixels, verbose=0))
