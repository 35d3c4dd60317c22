"""Normalisation: constants of the model's first layer, learned from the training rows alone."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.catalog.families import FAMILIES
from trainables.checkpoints.checkpoint import Checkpoint
from trainables.data.batches.tensors import split_tensors
from trainables.data.cache.dataset import Split, open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.data.cache.statistics import pixel_moments, pixel_statistics
from trainables.exporting.loading import restored_model
from trainables.families.building import build_model
from trainables.specs.data import DataSpec
from trainables.specs.pixels import NORMALIZATIONS, PixelStatistics, pixel_scaling
from trainables.specs.task import Task
from trainables.specs.worker import TrainingSpec
from trainables.training.training import Training, TrainingRequest

pytestmark = pytest.mark.usefixtures("one_thread")

TASK = Task.classification(input_shape=(8, 8, 3), num_classes=4)
STATISTICS = PixelStatistics(means=(10.0, 100.0, 200.0), deviations=(5.0, 50.0, 0.0))
FORMULAS = {
    "scale": lambda pixels: pixels / 255,
    "symmetric": lambda pixels: pixels / 127.5 - 1,
    "standardize": lambda pixels: (pixels - [10, 100, 200]) / [5, 50, 1],
}
#: The others get raw pixels and do as they like.
#: tests/trainables/families/test_keras_tuner.py has the one that asks users' models.
NORMALISED = [
    name for name, family in FAMILIES.items() if "normalization" not in family.ignores and not family.finds_parameters
]


def first_layer(model):
    """Returns what the model makes of pixels before its first convolution."""
    return keras.Sequential([keras.Input((8, 8, 3)), model.get_layer("scale")])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("family", NORMALISED)
def test_every_family_scales_pixels_as_its_parameter_says_also_when_loaded_by_plain_keras(
    family, normalization, variant_of, tmp_path, task_for
):
    variant = variant_of(family, normalization=normalization, seed=1)
    model = build_model(variant, task=task_for(family, shape=(8, 8, 3), num_classes=4), statistics=STATISTICS)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.float32)
    expected = FORMULAS[normalization](pixels)
    np.testing.assert_allclose(first_layer(model).predict(pixels, verbose=0), expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0))
    np.testing.assert_allclose(first_layer(loaded).predict(pixels, verbose=0), expected, atol=1e-4)


def test_the_default_is_the_scale_from_zero_to_one():
    defaults = {name: family.with_defaults({})["normalization"] for name, family in FAMILIES.items()}
    assert defaults == dict.fromkeys(FAMILIES, "scale") | {"transfer": "backbone", "keras_tuner": "auto"}
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


@given(count=st.integers(1, 40), seed=st.integers(0, 1000), data=st.data())
def test_statistics_are_those_of_numpy_in_float64_over_the_chosen_rows(count, seed, data):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 5, 7, 3)).astype(np.uint8)
    images[..., 2] = 17
    rows = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True)))
    statistics = pixel_statistics(pixel_moments(images), rows, num_pixels=35)
    chosen = images[rows].astype(np.float64)
    np.testing.assert_allclose(statistics.means, chosen.mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(statistics.deviations, chosen.std(axis=(0, 1, 2)), rtol=1e-13, atol=1e-13)
    assert (statistics.means[2], statistics.deviations[2]) == (17.0, 0.0)


def test_a_prepared_data_set_knows_the_statistics_of_its_training_split(tmp_path):
    data = open_dataset(prepare_dataset(DataSpec(source="digits", cache_dir=str(tmp_path)), 3))
    pixels = data.train.images[data.train.indices].astype(np.float64)
    np.testing.assert_allclose(data.info.statistics.means, [pixels.mean()], rtol=1e-13)
    np.testing.assert_allclose(data.info.statistics.deviations, [pixels.std()], rtol=1e-13)


@pytest.fixture(scope="module")
def unlike_splits():
    """Dark training images and bright validation images, rows of one array in turn."""
    generator = np.random.default_rng(4)
    images = generator.integers(0, 60, (80, 8, 8, 3)).astype(np.uint8)
    images[1::2] += 180
    labels = generator.integers(0, 4, 80).astype(np.int32)
    parts = (np.arange(0, 80, 2, dtype=np.int32), np.arange(1, 80, 2, dtype=np.int32))
    return [split_tensors(Split(images=images, labels={"label": labels}, indices=part)) for part in parts]


@pytest.mark.parametrize("family", [name for name in NORMALISED if "classification" in FAMILIES[name].kinds])
def test_standardisation_is_learned_from_training_rows_alone_and_restored_as_it_was(family, unlike_splits, variant_of):
    train, validation = unlike_splits
    variant = variant_of(family, normalization="standardize")
    spec = TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max")
    statistics = pixel_statistics(pixel_moments(np.asarray(train.images)), train.indices, num_pixels=64)
    training = Training(
        TrainingRequest(
            variant=variant, train=train, validation=validation, task=TASK, spec=spec, statistics=statistics
        )
    )
    report = training.run_epoch()
    pixels = np.asarray(train.images)[train.indices].astype(np.float32)
    standard = first_layer(training.model).predict(pixels, verbose=0)
    np.testing.assert_allclose(standard.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=(0, 1, 2)), 1, atol=1e-4)

    model = restored_model(
        variant,
        Checkpoint(variant_id=variant.variant_id, state=training.state(), history=[report]),
        task=TASK,
        statistics=statistics,
    )
    np.testing.assert_array_equal(model.predict(pixels, verbose=0), training.model.predict(pixels, verbose=0))
