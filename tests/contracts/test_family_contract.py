"""The contract of every model family, on variants sampled from the ranges of its own parameters."""

import itertools
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.errors import InfeasibleError
from trainables.specs.data import AugmentSpec
from trainables.specs.targets import TargetSpec, metric_modes
from trainables.specs.task import Target, Task

#: Sampled variants of a family that are built: with `--long`, and without. A transfer variant takes half a second.
NUM_BUILT_LONG, NUM_BUILT, NUM_BUILT_TRANSFER = 201, 41, 17
#: Everything a family has beyond its defaults, at once.
RICH = {
    "sequential": {
        "num_blocks": 2,
        "convs_per_block": 2,
        "filters": (16, 24),
        "kernel_size": (3, 2),
        "separable": True,
        "spatial_dropout": 0.1,
        "head": "global_average",
        "dense_units": 16,
        "l2": 1e-4,
        "dropout": 0.1,
    },
    "residual": {
        "block": "bottleneck",
        "num_stages": 2,
        "filters": 4,
        "pre_activation": True,
        "squeeze_excite": 4,
        "stochastic_depth": 0.2,
        "dropout": 0.1,
    },
    "functional": {
        "num_modules": 3,
        "pool_every": 2,
        "branch_kernels": (1, 3, 3),
        "filters": 9,
        "merge": "concatenate",
        "skip": "concatenate",
        "shared": True,
        "dropout": 0.1,
    },
    "multitask": {
        "trunk": "residual",
        "num_blocks": 3,
        "filters": 6,
        "head": "flatten",
        "shared_trunk": False,
        "head_units": 16,
        "dropout": 0.1,
    },
    "subclassed": {
        "num_blocks": 3,
        "filters": 12,
        "kernel_size": 5,
        "l2": 1e-4,
        "dropout": 0.1,
        "auxiliary_weight": 0.4,
    },
    "unet": {
        "depth": 2,
        "convs_per_level": 1,
        "filters": 6,
        "kernel_size": 5,
        "upsampling": "bilinear",
        "activation": "elu",
        "dropout": 0.1,
    },
    "custom": {"function": "custom_model:build", "width": 12, "depth": 2, "dropout": 0.1},
    "transfer": {
        "backbone": "MobileNet",
        "alpha": 0.1,
        "image_side": 32,
        "batch_norm_momentum": 0.8,
        "head": "flatten",
        "dense_units": 16,
        "dropout": 0.1,
        "frozen_epochs": 1,
        "fine_tune_from": 0.9,
        "fine_tune_learning_rate_share": 0.5,
        "freeze_batch_norm": True,
        "normalization": "backbone",
    },
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def build_model(studies):
    """Builds a variant's model; the family `custom` finds its function among the packaged studies."""
    from trainables.families.building import build_model

    return partial(build_model, study_dir=studies)


def answers_of(family, images, classes):
    """Returns the classes, or for families of masks whether each pixel is bright."""
    return classes if "classification" in FAMILIES[family].kinds else (images[..., 0] > 127).astype(np.int32)


def images_of(shape, *, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.float32)


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
    return [float(model.train_on_batch(images, labels)) for _ in range(steps)]


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


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(900)
def test_sampled_variants_are_built_for_their_images_and_classes(family, built, is_long, task_for):
    short = NUM_BUILT_TRANSFER if family == "transfer" else NUM_BUILT
    for variant, shape, model in itertools.islice(built(family), NUM_BUILT_LONG if is_long else short):
        # A subclassed model knows no more of its ends than what it was called with.
        ends = (model.inputs[0], model.outputs[0]) if hasattr(model, "inputs") else (model.input, model.output)
        task = task_for(family, shape=shape, num_classes=2 + variant.seed % 9)
        expected = [(None, *shape), (None, *task.output_shape(task.targets[0]))]
        assert [end.shape for end in ends] == expected, variant


@pytest.mark.parametrize("family", FAMILIES)
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
    model = build_model(variant_of(family, seed=1), task=task_for(family, num_classes=5))
    for _ in range(60 if family == "transfer" else 0):
        # Only with statistics of its images does so deep a batch normalisation let them through.
        model(images_of((8, 8, 1), count=8), training=True)
    black, white = np.zeros((1, 8, 8, 1), np.float32), np.full((1, 8, 8, 1), 255, np.float32)
    scaled = model.get_layer("scale")(white).numpy()
    assert scaled.max() == pytest.approx(1.0)
    assert not np.allclose(model(black, training=False), model(white, training=False))


@pytest.mark.parametrize("family", FAMILIES)
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


@pytest.mark.parametrize("family", FAMILIES)
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
def test_a_rich_variant_survives_both_exports_after_training(family, tmp_path, digits, build_model, task_for):
    from trainables.exporting.formats import FORMATS

    images, task = digits[0][:16].astype(np.float32), task_for(family)
    model = build_model(Variant(family=family, params=RICH[family], seed=1), task=task)
    losses_of(compiled(model), images, answers_of(family, images, digits[1][:16]), steps=2)
    expected = model(images, training=False).numpy()
    # As a worker exports: the weights of a checkpoint in a model that was built and never called.
    restored = build_model(Variant(family=family, params=RICH[family], seed=1), task=task)
    restored.set_weights(model.get_weights())
    for name, written in FORMATS.items():
        written.write(restored, tmp_path / written.file_name, task)
        found = written.predict(tmp_path / written.file_name, images)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=name)


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


#: Tasks beyond one class an image: each kind alone, and, for families that can, all of them of two images.
KINDS = {"classification": 10, "multilabel": 3, "regression": 2}
ABLE = [name for name, family in FAMILIES.items() if family.takes_several]


def task_of(*kinds, inputs=("image",), shape=(8, 8, 1)):
    targets = []
    for kind in kinds:
        spec = TargetSpec(kind=kind)
        names = () if kind == "regression" else tuple(map(str, range(KINDS[kind])))
        targets.append(
            Target(
                name=f"the_{kind}",
                kind=kind,
                size=KINDS[kind],
                class_names=names,
                loss=spec.loss_name,
                metrics=spec.metric_names,
            )
        )
    return Task(input_shape=shape, targets=tuple(targets), inputs=inputs)


#: A function for the family `custom` that takes whatever a task has; the packaged one takes one image and one target.
SEVERAL = """
import keras
from keras import layers
ACTIVATIONS = {"classification": "softmax", "multilabel": "sigmoid", "regression": "linear"}
def build(params, input_shape, targets):
    shapes = input_shape if isinstance(input_shape, dict) else {"image": input_shape}
    images = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    seen = [layers.Conv2D(params.get("width", 8), 3, padding="same", activation="relu")(image / 255.0)
            for image in images.values()]
    features = layers.concatenate([layers.Flatten()(maps) for maps in seen])
    for _ in range(params.get("depth", 0)):
        features = layers.Dense(32, activation="relu")(features)
    features = layers.Dropout(params.get("dropout", 0.0))(features)
    outputs = {target.name: layers.Dense(target.size, activation=ACTIVATIONS[target.kind], name=target.name)(features)
               for target in targets}
    return keras.Model(images, outputs)
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """The folder of a module with that function, and the parameters that name it."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "several_heads.py").write_text(SEVERAL, encoding="utf-8")
    return SimpleNamespace(folder=str(folder), params={"custom": {"function": "several_heads:build"}})


@pytest.fixture(scope="module")
def training_on(digits, studies, several, variant_of):
    """Makes a Training of a rich variant on 64 digits that are labelled in every way."""
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import Split
    from trainables.specs.worker import TrainingSpec
    from trainables.training.training import Training, TrainingRequest

    pixels, classes = digits
    means = (pixels.reshape(-1, 2, 4, 8).mean(axis=(2, 3)) / 255).astype(np.float32)
    labels = {
        "the_classification": classes,
        "the_multilabel": np.stack([classes % 2, classes > 4, classes % 3 == 0], axis=1).astype(np.uint8),
        "the_regression": means,
    }

    def make(family, task, **params):
        images = np.concatenate([pixels] * len(task.inputs), axis=3)
        split = split_tensors(Split(images=images, labels=labels, indices=np.arange(64, dtype=np.int32)))
        is_alone = task.has_one_target and len(task.inputs) == 1
        study_dir = studies if is_alone else several.folder
        own = {} if is_alone else several.params.get(family, {})
        spec = TrainingSpec(max_epochs=12, metric="val_loss", mode="min", study_dir=study_dir)
        variant = variant_of(family, **(RICH[family] | {"learning_rate": 0.01} | own | params))
        return Training(TrainingRequest(variant=variant, train=split, validation=split, task=task, spec=spec))

    return make


def reports_and_losses(training):
    reports = list(training.epochs())
    assert len(training.history) == training.spec.max_epochs
    return reports, [report.metrics["loss"] for report in reports]


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if "regression" in family.kinds])
def test_a_rich_variant_learns_flags_and_numbers(family, kind, training_on):
    training = training_on(family, task_of(kind))
    reports, losses = reports_and_losses(training)
    assert reports[0].metrics.keys() == metric_modes({f"the_{kind}": TargetSpec(kind=kind)}).keys()
    # Its dropouts make single epochs noisy.
    assert np.mean(losses[-3:]) < losses[0]
    outputs = training.model(images_of((8, 8, 1)), training=False).numpy()
    assert outputs.shape == (3, KINDS[kind])
    assert outputs.dtype == np.float32
    assert kind == "regression" or ((outputs >= 0) & (outputs <= 1)).all()


@pytest.mark.parametrize("family", ABLE)
def test_a_rich_variant_learns_several_targets_of_several_images(family, training_on, same_state):
    task = task_of(*KINDS, inputs=("left", "right"))
    training, resumed = training_on(family, task), training_on(family, task)
    first = training.run_epoch()
    resumed.load_state(training.state(), history=[first])
    assert resumed.run_epoch().metrics == training.run_epoch().metrics
    same_state(resumed.state(), training.state())
    reports, losses = reports_and_losses(training)
    specs = {f"the_{kind}": TargetSpec(kind=kind) for kind in KINDS}
    assert reports[0].metrics.keys() == metric_modes(specs).keys()
    assert np.mean(losses[-3:]) < first.metrics["loss"]


@pytest.mark.parametrize("family", ABLE)
def test_sampled_variants_take_and_give_what_the_task_says(family, several, sampled_variant, tmp_path):
    import keras

    from trainables.families.building import build_model

    num_built = 0
    for number in itertools.count(600):
        variant, shape = sampled_variant(family, number)
        variant = replace(variant, params={**variant.params, **several.params.get(family, {})})
        task = task_of(*KINDS, inputs=("left", "right", "middle"), shape=shape)
        keras.backend.clear_session(free_memory=False)
        try:
            model = build_model(variant, task=task, study_dir=several.folder)
        except InfeasibleError:
            continue
        inputs = {name: images_of(shape, seed=place) for place, name in enumerate(task.inputs)}
        outputs = model(inputs, training=False)
        assert {name: tuple(values.shape) for name, values in outputs.items()} == {
            target.name: (3, target.size) for target in task.targets
        }, variant
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")(inputs, training=False)
        for name, values in outputs.items():
            np.testing.assert_array_equal(loaded[name], values, err_msg=str(variant))
        num_built += 1
        if num_built == 10:
            break
