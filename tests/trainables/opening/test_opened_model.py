"""A loaded model answers any number of images with arrays of its own shape, also none at all."""

from pathlib import Path

import keras
import numpy as np
import pytest

from trainables.opening.tensorflow_formats import open_model
from trainables.specs.export import FILES

INPUTS = [{"name": "image", "shape": [None, 8, 8, 3]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says two probabilities of each pixel, in both of Keras's formats."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3), name="image")
    inner = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(inner))
    folder = tmp_path_factory.mktemp("export")
    model.save(folder / FILES["keras"])
    model.export(folder / FILES["saved_model"], verbose=False)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "saved_model"])
@pytest.mark.parametrize("count", [0, 1, 256, 257])
def test_the_pixels_of_any_number_of_images_have_as_many_classes(folder: Path, form: str, count: int) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (count, 8, 8, 3))
    found = open_model(folder, form=form, inputs=INPUTS).predict(images)
    assert found.shape == (count, 8, 8, 2)
    assert np.allclose(found.sum(axis=-1), 1, atol=1e-5)
