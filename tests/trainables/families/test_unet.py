"""The family of masks: sizes that cannot be halved, its cost, and what it refuses."""

import numpy as np
import pytest

from search_spaces import Variant
from trainables.errors import InfeasibleError
from trainables.specs.task import Target, Task

pytestmark = pytest.mark.usefixtures("one_thread")


def task_of(shape, *, kind="mask", size=3):
    target = Target(name="m", kind=kind, size=size, loss="categorical_crossentropy", metrics=("iou",))
    return Task(input_shape=shape, targets=(target,))


def built(shape, **params):
    from trainables.families.building import build_model

    return build_model(Variant(family="unet", params={"filters": 4, **params}, seed=1), task=task_of(shape))


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 14, 3), (31, 17, 1), (4, 5, 1)])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
def test_every_pixel_of_images_of_any_size_gets_probabilities(shape, upsampling):
    model = built(shape, depth=2, upsampling=upsampling)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    chances = model(images, training=False).numpy()
    assert chances.shape == (2, *shape[:2], 3)
    np.testing.assert_allclose(chances.sum(axis=-1), 1.0, rtol=1e-5)


def test_an_image_with_borders_is_predicted_in_its_own_place():
    """A model of one 1x1 path, whose output at a pixel follows from that pixel, keeps every pixel where it is."""
    import keras

    from trainables.families.unet import borders_of

    borders = borders_of((5, 6), depth=3)
    assert borders == ((1, 2), (1, 1))
    image = np.arange(30, dtype=np.float32).reshape(1, 5, 6, 1)
    padded = keras.layers.ZeroPadding2D(borders)(image)
    assert padded.shape == (1, 8, 8, 1)
    assert np.array_equal(keras.layers.Cropping2D(borders)(padded), image)


def test_the_way_up_sees_the_way_down_at_its_own_size():
    model = built((16, 16, 1), depth=2)
    joined = [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "Concatenate"]
    assert joined == [(8, 8, 16), (16, 16, 8)]


def test_multiply_adds_are_those_of_the_papers_convolutions():
    from trainables.training.cost import model_cost

    cost = model_cost(
        built((8, 8, 1), depth=1, convs_per_level=1, batch_norm=False), task=task_of((8, 8, 1)), batch_size=1
    )
    down = 64 * 9 * 1 * 4 + 16 * 9 * 4 * 8
    up = 64 * 8 * 4 + 64 * 9 * 8 * 4 + 64 * 4 * 3
    # A transposed 2x2 convolution with strides of 2 sees each of 16 pixels once by each of its 4 places.
    assert cost["multiply_adds"] == down + up
    assert cost["parameters"] == (9 * 4 + 4) + (9 * 4 * 8 + 8) + (4 * 8 * 4 + 4) + (9 * 8 * 4 + 4) + (4 * 3 + 3)


def test_what_cannot_be_built_is_refused_with_the_way_out():
    with pytest.raises(
        InfeasibleError, match=r"depth 4 halves the image 4 times, but images of 9x12 can .* 3 times; use"
    ):
        built((9, 12, 1), depth=4)
    from trainables.families.building import build_model

    with pytest.raises(InfeasibleError, match=r"unet predicts a class for each pixel, but target 'm' is of kind class"):
        build_model(Variant(family="unet", params={}, seed=1), task=task_of((8, 8, 1), kind="classification"))
