"""Small real splits and variants, so that a training of this folder takes a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.catalog.parameter import Entries, ParameterInfo
from trainables.specs.task import Target, Task
from trainables.specs.worker import DeviceSpec, TrainingSpec

TASK = Task.classification(input_shape=(8, 8, 1), num_classes=10)
#: What families of masks learn: how bright each pixel is, in three steps.
MASK_TASK = Task(
    input_shape=(8, 8, 1),
    targets=(
        Target(
            name="label",
            kind="mask",
            size=3,
            class_names=("dark", "grey", "bright"),
            loss="categorical_crossentropy",
            metrics=("iou", "dice", "pixel_accuracy"),
        ),
    ),
)
#: A small architecture of each family, with everything in it that keeps state between steps.
SMALL = {
    "sequential": {"num_blocks": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "residual": {"num_stages": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "functional": {"num_modules": 2, "filters": 8, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "multitask": {"num_blocks": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "subclassed": {"num_blocks": 2, "filters": 12, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    "custom": {"function": "custom_model:build", "width": 4, "dropout": 0.3, "batch_size": 32},
    "keras_tuner": {"function": "small_hypermodel:build", "num_blocks": 1, "filters_0": 4, "dropout": 0.3}
    | {"learning_rate": 0.01, "batch_size": 32},
    "unet": {"depth": 2, "filters": 4, "dropout": 0.3, "batch_norm": True, "batch_size": 32},
    # The backbone with the fewest layers; a graph of all their gradients takes seconds to make.
    "transfer": {"backbone": "MobileNet", "alpha": 0.1, "image_side": 32, "fine_tune_from": 0.9, "dropout": 0.3}
    | {"batch_size": 32},
}
#: The folder of a custom_model.py, the same as the packaged one.
STUDIES = str(Path(__file__).parent / "studies")

#: Keeps sampled variants small; the parameters' own ranges reach far beyond any test machine.
CEILINGS = {
    "num_blocks": 3,
    "convs_per_block": 2,
    "kernel_size": 7,
    "stride": 3,
    "dense_units": 20,
    "l2": 0.01,
    "num_stages": 3,
    "blocks_per_stage": 2,
    "squeeze_excite": 16,
    "num_modules": 3,
    "pool_every": 3,
    "head_units": 20,
    "filters": 8,
    "filters_growth": 2.0,
    "alpha": 0.25,
    "frozen_epochs": 3,
    "depth": 3,
    "convs_per_level": 2,
}
#: What sampled variants have of a parameter, where all of it would be slow, or needs files or statistics: presets and
#: most backbones are deep.
RESTRICTED = {
    "preset": ("none",),
    "backbone": ("MobileNet", "MobileNetV3Small"),
    "weights": ("none",),
    "weights_sha256": ((),),
    "image_side": (0, 32, 40),
    # Other than 0 it goes with no image_side.
    "image_size": (0,),
    # "model" needs a model that comes compiled.
    "optimizer": ("adam",),
    "normalization": ("backbone", "scale", "symmetric"),
}
SHAPES = ((8, 8, 1), (9, 12, 3), (28, 28, 1))


@pytest.fixture(scope="session")
def one_thread():
    """TensorFlow as a worker with one CPU has it."""
    from trainables.training.devices import configure_devices

    configure_devices(DeviceSpec(cpus=1))


@pytest.fixture(scope="session")
def task():
    """What the small splits ask of a model."""
    return TASK


@pytest.fixture(scope="session")
def task_for():
    """Makes a family's task of some classes: of each image, or for families of masks of each pixel."""

    def make(family, *, shape=(8, 8, 1), num_classes=10):
        task = Task.classification(input_shape=shape, num_classes=num_classes)
        if "classification" in FAMILIES[family].kinds:
            return task
        (target,) = task.targets
        return replace(task, targets=(replace(target, kind="mask", metrics=("iou",)),))

    return make


@pytest.fixture(scope="session")
def digits():
    """450 images, uint8 (450, 8, 8, 1), and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images[:450, ..., None] * 255 / 16).astype(np.uint8), bunch.target[:450].astype(np.int32)


@pytest.fixture(scope="session")
def splits(one_thread, digits):
    """100 images to train on and 300 to validate with, rows of one array: neither is a multiple of a batch."""
    from trainables.data.batches.tensors import split_tensors
    from trainables.data.cache.dataset import Split

    images, labels = digits
    rows = np.random.default_rng(0).permutation(450).astype(np.int32)
    return tuple(
        split_tensors(Split(images=images, labels={"label": labels}, indices=np.sort(part)))
        for part in (rows[:100], rows[150:])
    )


@pytest.fixture(scope="session")
def mask_splits(splits, digits):
    """The same splits with masks for labels: in which third of 0-255 each pixel is; the first column does not count."""
    from trainables.data.batches.tensors import shared_tensor

    masks = digits[0][..., 0] // 86
    masks[:, :, 0] = 255
    return tuple(replace(split, labels={"label": shared_tensor(masks)}) for split in splits)


@pytest.fixture(scope="session")
def variant_of():
    """Makes a small variant: `variant_of("residual", seed=3, filters=8)`."""

    def make(family="sequential", *, seed=7, **params):
        return Variant(family=family, params=SMALL[family] | params, seed=seed)

    return make


@pytest.fixture(scope="session")
def samples_of(splits, mask_splits):
    """Returns the splits of a family, their task, and its first metric."""

    def find(family):
        if "classification" in FAMILIES[family].kinds:
            return splits, TASK, "accuracy"
        return mask_splits, MASK_TASK, "iou"

    return find


@pytest.fixture(scope="session")
def training_of(samples_of):
    """Makes a fresh Training of a variant on the small splits."""
    from trainables.machine.imports import spare_imports
    from trainables.training.training import Training, TrainingRequest

    spare_imports()

    def make(variant, *, max_epochs=9, graphs=None, metrics=(), **spec):
        (train, validation), task, metric = samples_of(variant.family)
        if metrics:
            task = replace(task, targets=tuple(replace(target, metrics=metrics) for target in task.targets))
            metric = metrics[-1]
        spec = {"study_dir": STUDIES, **spec}
        spec = TrainingSpec(max_epochs=max_epochs, metric=f"val_{metric}", mode="max", **spec)
        splits = {"train": train, "validation": validation}
        return Training(TrainingRequest(variant=variant, **splits, task=task, spec=spec, graphs=graphs))

    return make


@pytest.fixture(scope="session")
def studies():
    """The folder of a custom_model.py."""
    return STUDIES


@pytest.fixture(scope="session")
def same_state():
    """Asserts that two states hold the same arrays, bit for bit."""

    def check(left, right):
        assert left.keys() == right.keys()
        for name in left:
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)

    return check


@pytest.fixture(scope="session")
def sampled_variant():
    """Makes a family's variant number so and so, and the shape of its images: `sampled_variant("residual", 17)`.

    It need not fit the images: families say what is infeasible.
    """

    def make(family, number, **fixed):
        generator = np.random.default_rng([number, len(family)])
        infos = FAMILIES[family].parameters
        params = {name: _sampled(name, info, generator=generator) for name, info in infos.items()} | fixed
        if family == "custom":
            params |= {"function": "custom_model:build", "width": int(generator.integers(1, 9)), "depth": number % 4}
        for name, info in infos.items():
            if info.entries is Entries.ONE_OR_ONE_A_BLOCK and name not in fixed and generator.random() < 0.3:
                params[name] = tuple(_sampled(name, info, generator=generator) for _ in range(params["num_blocks"]))
        return Variant(family=family, params=params, seed=number), SHAPES[generator.integers(len(SHAPES))]

    return make


def _sampled(name: str, info: ParameterInfo, *, generator: np.random.Generator):  # noqa: PLR0911 - one a kind
    if name in RESTRICTED:
        return RESTRICTED[name][generator.integers(len(RESTRICTED[name]))]
    if info.entries is Entries.LIST:
        return tuple(int(value) for value in generator.integers(info.low, 8, size=generator.integers(4)))
    if info.options:
        return info.options[generator.integers(len(info.options))]
    if info.kind is str:
        return info.default
    if info.kind is bool:
        return bool(generator.integers(2))
    highest = next(bound for bound in (CEILINGS.get(name), info.high, info.below) if bound is not None)
    if info.kind is int:
        return int(generator.integers(info.low, highest, endpoint=True))
    return float(generator.uniform(info.low, highest))
