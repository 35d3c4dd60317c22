"""The contract of every model family on flags, numbers, several targets and several images."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich_variants import RICH, images_of

from trainables.catalog.families import FAMILIES
from trainables.errors import InfeasibleError
from trainables.specs.targets import TargetSpec, metric_modes
from trainables.specs.task import Target, Task

pytestmark = pytest.mark.usefixtures("one_thread")

#: Tasks beyond one class an image: each kind alone, and, for families that can, all of them of two images.
KINDS = {"classification": 10, "multilabel": 3, "regression": 2}
#: A hypermodel knows no task: it is made for one, which is that of its compiled loss.
TOLD = {name: family for name, family in FAMILIES.items() if not family.finds_parameters}
ABLE = [name for name, family in TOLD.items() if family.takes_several]


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
@pytest.mark.parametrize("family", [name for name, family in TOLD.items() if "regression" in family.kinds])
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
