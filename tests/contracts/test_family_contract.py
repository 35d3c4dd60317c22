"""The contract of every model family, on variants sampled from the ranges of its own parameters."""

import itertools
from functools import partial

import numpy as np
import pytest
from rich_variants import RICH, images_of

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.errors import InfeasibleError
from trainables.specs.data import AugmentSpec

#: Sampled variants of a family that are built: with `--long`, and without. A transfer variant takes half a second.
NUM_BUILT_LONG, NUM_BUILT, NUM_BUILT_TRANSFER = 201, 17, 7

#: Families whose ranges can be sampled; a hypermodel is made for images of one shape, and its ranges are the user's:
#: tests/trainables/families/test_keras_tuner.py samples one.
SAMPLED = [name for name, family in FAMILIES.items() if not family.finds_parameters]

#: Families that are exported in every quantised format.
QUANTISED = ("sequential", "residual", "functional")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def build_model(studies):
    """Builds a variant's model; the family `custom` finds its function among the packaged studies."""
    from trainables.families.building import build_model

    return partial(build_model, study_dir=studies)


def answers_of(family, images, classes):
    """Returns the classes, or for families of masks whether each pixel is bright."""
    return classes if "classification" in FAMILIES[family].kinds else (images[..., 0] > 127).astype(np.int32)


@pytest.fixture(scope="module")
def built(sampled_variant, build_model, task_for):
    """Yields (variant, shape, model) of a family's sampled variants that fit their images, from number `start` on."""
    import keras

    def build(family, *, start=0):
        for number in itertools.count(start):
            variant, shape = sampled_variant(family, number)
            # Without the collection of garbage, which takes longer than a small model.
            keras.backend.clear_session(free_memory=False)
            keras.utils.set_random_seed(number)
            try:
                yield (
                    variant,
                    shape,
                    build_model(variant, task=task_for(family, shape=shape, num_classes=2 + number % 9)),
                )
            except InfeasibleError as refused:
                # The words say the way out; a refusal without it is no refusal.
                if "use " not in str(refused):
                    raise
            except Exception as error:
                error.add_note(f"{variant} on images of {shape}")
                raise

    return build


def losses_of(model, images, labels, *, steps):
    """Trains a compiled model on the same few images again and again and returns the loss of each step."""
    # By name: a model that comes compiled keeps metrics of its own.
    return [float(model.train_on_batch(images, labels, return_dict=True)["loss"]) for _ in range(steps)]


def compiled(model, *, run_eagerly=False):
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, run_eagerly=run_eagerly)
    return model


def test_every_family_has_a_variant_with_all_that_it_can():
    assert RICH.keys() == FAMILIES.keys()
    for family, params in RICH.items():
        infos, own = FAMILIES[family].parameters, FAMILIES[family].own_parameters(params)
        assert all(infos[name].problem(value) == "" for name, value in params.items() if name not in own)
        assert FAMILIES[family].has_own_parameters or not own


@pytest.mark.parametrize("family", SAMPLED)
@pytest.mark.timeout(900)
def test_sampled_variants_are_built_for_their_images_and_classes(family, built, is_long, task_for):
    short = NUM_BUILT_TRANSFER if family == "transfer" else NUM_BUILT
    for variant, shape, model in itertools.islice(built(family), NUM_BUILT_LONG if is_long else short):
        # A subclassed model knows no more of its ends than what it was called with.
        ends = (model.inputs[0], model.outputs[0]) if hasattr(model, "inputs") else (model.input, model.output)
        task = task_for(family, shape=shape, num_classes=2 + variant.seed % 9)
        expected = [(None, *shape), (None, *task.output_shape(task.targets[0]))]
        assert [end.shape for end in ends] == expected, variant


@pytest.mark.parametrize("family", SAMPLED)
def test_a_variant_turns_images_into_probabilities_of_the_classes(family, built):
    for variant, shape, model in itertools.islice(built(family, start=300), 12):
        probabilities = model(images_of(shape), training=False).numpy()
        assert probabilities.dtype == np.float32, variant
        assert (probabilities >= 0).all(), variant
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-5, err_msg=str(variant))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_sees_its_image(family, build_model, variant_of, task_for):
    import keras

    keras.utils.set_random_seed(1)
    model = build_model(variant_of(family, seed=1), task=task_for(family))
    for _ in range(60 if family == "transfer" else 0):
        # Only with statistics of its images does so deep a batch normalisation let them through.
        model(images_of((8, 8, 1), count=8), training=True)
    black, white = np.zeros((1, 8, 8, 1), np.float32), np.full((1, 8, 8, 1), 255, np.float32)
    scaled = model.get_layer("scale")(white).numpy()
    assert scaled.max() == pytest.approx(1.0)
    assert not np.allclose(model(black, training=False), model(white, training=False))


@pytest.mark.parametrize("family", SAMPLED)
def test_a_training_step_moves_every_sampled_variant(family, built):
    for variant, shape, model in itertools.islice(built(family, start=400), 4):
        before = [weight.numpy() for weight in model.trainable_weights]
        images = images_of(shape)
        answers = answers_of(family, images, np.array([0, 1, 1]))
        (loss,) = losses_of(compiled(model, run_eagerly=True), images, answers, steps=1)
        assert np.isfinite(loss), variant
        pairs = zip(before, model.trainable_weights, strict=True)
        assert any(not np.array_equal(old, new.numpy()) for old, new in pairs), variant


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_of_a_rich_variant_falls_on_a_tiny_set(family, digits, build_model, task_for):
    import keras

    keras.utils.set_random_seed(3)
    variant = Variant(family=family, params=RICH[family], seed=3)
    model = build_model(variant, task=task_for(family))
    images = digits[0][:16].astype(np.float32)
    losses = losses_of(compiled(model), images, answers_of(family, images, digits[1][:16]), steps=40)
    # Its dropouts make single steps noisy.
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


@pytest.mark.parametrize("family", SAMPLED)
def test_a_saved_model_predicts_what_it_predicted_before(family, built, tmp_path):
    import keras

    for variant, shape, model in itertools.islice(built(family, start=500), 4):
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        images = images_of(shape)
        np.testing.assert_array_equal(
            model(images, training=False), loaded(images, training=False), err_msg=str(variant)
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rich_variant_survives_every_export_after_training(family, tmp_path, digits, build_model, task_for):
    from trainables.exporting.formats import FORMATS
    from trainables.exporting.loading import compile_for_sharing
    from trainables.exporting.runtimes.conversion import Source
    from trainables.exporting.runtimes.conversions import CONVERSIONS

    images, task = digits[0][:16].astype(np.float32), task_for(family)
    model = build_model(Variant(family=family, params=RICH[family], seed=1), task=task)
    losses_of(compiled(model), images, answers_of(family, images, digits[1][:16]), steps=2)
    expected = model(images, training=False).numpy()
    # As a worker exports: the weights of a checkpoint in a model that was built and never called.
    restored = build_model(Variant(family=family, params=RICH[family], seed=1), task=task)
    restored.set_weights(model.get_weights())
    compile_for_sharing(restored, task=task)
    for name, written in FORMATS.items():
        written.write(restored, tmp_path / written.file_name, task)
        found = written.predict(tmp_path / written.file_name, images)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=name)
    calibration = {"image": images[:16]}
    ends = {"inputs": ("image",), "outputs": ("output_0",)}
    source = Source(saved_model=tmp_path / "saved_model", calibration=lambda: calibration, **ends)
    # A conversion takes seconds: quantised ones of families that have the layers of all others.
    forms = [name for name in CONVERSIONS if family in QUANTISED or name in ("litert", "onnx", "openvino")]
    for name in forms:
        CONVERSIONS[name].convert(source, tmp_path / name)
        opened = CONVERSIONS[name].open(tmp_path / name, 1)
        # Barely trained, so that answers are close calls: the export's own test counts those of a trained model.
        far = 0.05 if "int8" in name else 1e-3 if "float16" in name else 5e-6
        for count in (16, 3):
            found = opened.predict({"image": images[:count]})["output_0"]
            np.testing.assert_allclose(found, expected[:count], atol=far, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rich_variant_goes_on_exactly_from_its_state(family, training_of, variant_of, same_state):
    variant = variant_of(family, **RICH[family])
    augment = AugmentSpec(flip="horizontal")
    whole = training_of(variant, max_epochs=2, augment=augment)
    first = whole.run_epoch()
    assert first.cost["parameters"] == whole.model.count_params()
    state = whole.state()
    second = whole.run_epoch()
    resumed = training_of(variant, max_epochs=2, augment=augment)
    resumed.load_state(state, history=[first])
    assert resumed.run_epoch().metrics == second.metrics
    same_state(resumed.state(), whole.state())
