"""Images that are shrunk inside the model: every family, its checks, its cost, its exports and its continuation."""

import numpy as np
import pytest

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.errors import InfeasibleError
from trainables.specs.task import Target, Task

pytestmark = pytest.mark.usefixtures("one_thread")

SHRINKING = [name for name, family in FAMILIES.items() if "image_size" not in family.hands_over]
#: The data's images and the image_size of a family's test; a backbone's sides are at least 32.
SIZES = {"transfer": ((72, 64, 1), 36)}
SMALLEST = {"transfer": {"image_side": 0}}


def sizes_of(family):
    """Returns the data's shape, image_size, and the shape that the network works on."""
    (height, width, channels), image_size = SIZES.get(family, ((24, 16, 3), 12))
    return (height, width, channels), image_size, (image_size, image_size * width // height, channels)


def built(variant, task):
    import keras

    from trainables.families.building import build_model

    keras.utils.set_random_seed(5)
    return build_model(variant, task=task)


@pytest.fixture
def variant_at(variant_of):
    """Makes a family's small variant of an image_size."""

    def make(family, image_size, **params):
        return variant_of(family, **SMALLEST.get(family, {}), image_size=image_size, **params)

    return make


def images_of(shape, count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)


def shrunk(images, shape):
    import tensorflow as tf

    return tf.image.resize(images, shape[:2], antialias=True).numpy()


@pytest.mark.parametrize("family", SHRINKING)
def test_a_network_of_smaller_images_is_that_of_images_shrunk_before(family, variant_at, task_for):
    shape, image_size, network = sizes_of(family)
    whole = built(variant_at(family, image_size), task_for(family, shape=shape))
    plain = built(variant_at(family, 0), task_for(family, shape=network))
    for shrinking, alone in zip(whole.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(shrinking.numpy(), alone.numpy())
    images = images_of(shape)
    expected, found = plain(shrunk(images, network)).numpy(), whole(images).numpy()
    if FAMILIES[family].kinds == {"mask"}:
        assert found.shape[1:3] == shape[:2]
        import tensorflow as tf

        expected = tf.image.resize(expected, shape[:2]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("family", SHRINKING)
def test_the_datas_own_size_adds_nothing_to_the_model(family, variant_at, task_for):
    shape, _, _ = sizes_of(family)
    models = [built(variant_at(family, size), task_for(family, shape=shape)) for size in (0, max(shape))]
    configs = [{**model.get_config(), "design": None} for model in models]
    kinds = [type(model).__name__ for model in models]
    assert kinds[0] == kinds[1]
    assert [len(model.weights) for model in models] == [len(models[0].weights)] * 2
    assert [str(config).count("Resize") for config in configs] == [0, 0]


@pytest.mark.parametrize("family", SHRINKING)
def test_no_network_works_on_larger_images_than_the_data_has(family, variant_at, task_for):
    shape, _, _ = sizes_of(family)
    with pytest.raises(
        InfeasibleError,
        match=f"image_size 99 is larger than the images of {shape[0]}x{shape[1]}.*use image_size {shape[0]} or less",
    ):
        built(variant_at(family, 99), task_for(family, shape=shape))


@pytest.mark.parametrize(
    ("family", "params", "message"),
    [
        ("sequential", {"num_blocks": 5, "padding": "valid"}, "images of 4x4"),
        ("residual", {"num_stages": 4}, "images of 4x4 can be halved at most 2 times"),
        ("functional", {"num_modules": 4}, "images of 4x4 can be halved at most 2 times"),
        ("multitask", {"num_blocks": 4}, "images of 4x4 can be halved at most 2 times"),
        ("subclassed", {"num_blocks": 4}, "images of 4x4 can be halved at most 2 times"),
        ("unet", {"depth": 3}, "images of 4x4 can be halved at most 2 times"),
        ("transfer", {}, r"image_size 4 makes images of 4x4; use image_size: 32 or more"),
    ],
)
def test_what_does_not_fit_the_networks_size_is_refused(family, params, message, variant_at, task_for):
    with pytest.raises(InfeasibleError, match=message):
        built(variant_at(family, 4, **params), task_for(family, shape=(64, 64, 1)))


def test_a_backbone_has_one_size(task_for, variant_of):
    with pytest.raises(InfeasibleError, match="image_side 32 sets the backbone's images already, got image_size 36"):
        built(variant_of("transfer", image_size=36), task_for("transfer", shape=(64, 64, 1)))


def test_several_inputs_are_shrunk_each():
    def task(shape):
        target = Target(name="t", kind="regression", size=2, loss="mean_squared_error", metrics=("mae",))
        return Task(input_shape=shape, targets=(target,), inputs=("left", "right"))

    params = {"num_blocks": 2, "filters": 4}
    whole = built(Variant(family="multitask", params={**params, "image_size": 8}, seed=1), task((16, 16, 1)))
    plain = built(Variant(family="multitask", params=params, seed=1), task((8, 8, 1)))
    images = {"left": images_of((16, 16, 1)), "right": images_of((16, 16, 1))[::-1].copy()}
    small = {name: shrunk(values, (8, 8, 1)) for name, values in images.items()}
    np.testing.assert_allclose(whole(images), plain(small), rtol=1e-5)


def test_cost_is_that_of_the_smaller_network(variant_at, task_for):
    from trainables.training.cost import model_cost

    whole, plain = (
        model_cost(
            built(variant_at("sequential", size), task_for("sequential", shape=shape)),
            task=task_for("sequential", shape=shape),
            batch_size=32,
        )
        for size, shape in ((16, (64, 64, 3)), (0, (16, 16, 3)))
    )
    assert whole["multiply_adds"] == plain["multiply_adds"]
    assert whole["parameters"] == plain["parameters"]
    # The images of a batch are all that is larger.
    assert whole["memory_mb"] - plain["memory_mb"] == pytest.approx(32 * 3 * (64**2 - 16**2) * 4 / 1e6)


@pytest.mark.parametrize("family", ["sequential", "subclassed", "unet"])
def test_exports_take_the_datas_own_size_and_predict_alike(family, variant_at, task_for, tmp_path):
    from trainables.exporting.formats import FORMATS
    from trainables.exporting.plain_graph import plain_model

    shape, image_size, _ = sizes_of(family)
    task = task_for(family, shape=shape)
    model = built(variant_at(family, image_size), task)
    images = images_of(shape)
    expected = model(images, training=False).numpy()
    shipped = plain_model(model, task)
    for name, form in FORMATS.items():
        assert form.refusal(shipped) == ""
        form.write(shipped, tmp_path / form.file_name, task)
        np.testing.assert_allclose(form.predict(tmp_path / form.file_name, images), expected, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("family", ["sequential", "unet"])
def test_a_training_on_smaller_images_goes_on_exactly(family, training_of, variant_of, same_state):
    variant = variant_of(family, image_size=6)
    whole = training_of(variant, max_epochs=2)
    first = whole.run_epoch()
    state = whole.state()
    second = whole.run_epoch()
    resumed = training_of(variant, max_epochs=2)
    resumed.load_state(state, history=[first])
    assert resumed.run_epoch().metrics == second.metrics
    same_state(resumed.state(), whole.state())


def test_variants_of_two_sizes_share_no_trace(variant_of):
    from trainables.worker.trace_cache import trace_key

    assert trace_key(variant_of(image_size=6)) != trace_key(variant_of())
