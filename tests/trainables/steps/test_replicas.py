"""Several devices in one trial train what one device would; here they are parts of a CPU, in a process of their own."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from trainables.specs.worker import DeviceSpec

pytestmark = pytest.mark.slow

#: 97 rows in batches of 32 on three devices: no batch divides evenly, and the last one has a row.
SCRIPT = """
import json, sys
from dataclasses import replace
import numpy as np
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

from sklearn.datasets import load_digits
from search_spaces import Variant
from trainables.specs.augment import AugmentSpec
from trainables.data.cache.dataset import Split
from trainables.data.batches.tensors import split_tensors
from trainables.training.devices import configure_devices
from trainables.errors import InfeasibleError
from trainables.steps.replicas import Replicas
from trainables.specs.task import Task
from trainables.training.training import Training, TrainingRequest
from trainables.specs.worker import DeviceSpec, TrainingSpec

configure_devices(DeviceSpec(cpus=1))
digits = load_digits()
images, labels = (digits.images[:450, ..., None] * 255 / 16).astype(np.uint8), digits.target[:450].astype(np.int32)
rows = np.random.default_rng(0).permutation(450).astype(np.int32)
train, validation = (
    split_tensors(Split(images=images, labels={"label": labels}, indices=np.sort(part)))
    for part in (rows[:97], rows[150:])
)
WEIGHTS = tf.constant((np.arange(450) % 4).astype(np.float32))
SMALL = {"num_blocks": 1, "filters": 4, "batch_size": 32, "learning_rate": 0.01, "batch_norm": False, "dropout": 0.0}

def training(count, *, family="sequential", augment=None, is_weighted=False, **params):
    spec = TrainingSpec(max_epochs=3, metric="val_accuracy", mode="max", augment=AugmentSpec(**(augment or {})))
    return Training(TrainingRequest(
        variant=Variant(family=family, params={**SMALL, **params}, seed=7),
        train=replace(train, weights=WEIGHTS) if is_weighted else train, validation=validation, spec=spec,
        task=Task.classification(input_shape=(8, 8, 1), num_classes=10),
        replicas=Replicas([f"CPU:{number}" for number in range(count)]),
    ))

def copied(state):
    return {name: array.copy() for name, array in state.items()}

def difference(**given):
    one, three = training(1, **given), training(3, **given)
    reports = [(one.run_epoch(), three.run_epoch()) for _ in range(2)]
    left, right = one.state(), three.state()
    assert left.keys() == right.keys()
    # TensorFlow's counters of draws are whole numbers.
    apart = max(float(np.abs(left[name].astype(float) - right[name]).max()) for name in left)
    names = [name for name in reports[0][0].metrics if name.startswith("val_")]
    return apart, max(abs(a.metrics[name] - b.metrics[name]) for a, b in reports for name in names)

def continued(**given):
    whole = training(3, **given)
    whole.run_epoch()
    state, history = copied(whole.state()), list(whole.history)
    last = whole.run_epoch()
    other = training(3, **given)
    other.load_state(state, history=history)
    again = other.run_epoch()
    left, right = whole.state(), other.state()
    return last.metrics == again.metrics and all(np.array_equal(left[name], right[name]) for name in left)

def refused(**given):
    try:
        num_micro_batches = given.pop("num_micro_batches", 1)
        begun = training(3, **given)
        begun.num_micro_batches = num_micro_batches
        begun.run_epoch()
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"

told = {name: [globals()[what](**given) for given in cases] for name, (what, cases) in json.load(sys.stdin).items()}
print(json.dumps(told))
"""
SAME = {
    "everything an optimizer does with gradients": {
        "optimizer": "sgd", "momentum": 0.9, "clip_norm": 0.1, "l2": 0.01, "ema_momentum": 0.9,
        "label_smoothing": 0.1, "class_weights": "balanced",
    },
    "mixed images": {"augment": {"mixup": 0.4}},
    "weighted images": {"is_weighted": True, "class_weights": "balanced"},
    "a train_step of its own": {"family": "subclassed", "num_blocks": 2},
}  # fmt: skip
CONTINUED = {"batch_norm": True, "dropout": 0.3, "optimizer": "adamw", "weight_decay": 0.01}


@pytest.fixture(scope="module")
def told():
    """What a process with three devices answers."""
    asked = {
        "difference": ("difference", list(SAME.values())),
        "continued": ("continued", [CONTINUED]),
        "refused": ("refused", [{"gradient_accumulation": 2}, {"num_micro_batches": 4}]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", SAME)
def test_three_devices_train_what_one_would(name, told):
    weights, validation = told["difference"][list(SAME).index(name)]
    assert weights < 1e-5
    assert validation < 1e-5


def test_a_training_on_several_devices_goes_on_from_its_checkpoint_exactly(told):
    assert told["continued"] == [True]


def test_what_cannot_be_divided_is_refused(told):
    accumulated, cut = told["refused"]
    assert accumulated.startswith("InfeasibleError: gradient_accumulation 2 cannot be had on 3 GPUs at once; use a")
    assert cut == "MicroBatchError: its batches are divided among 3 GPUs already"


@pytest.mark.parametrize(
    ("given", "visible", "expected"),
    [(0, 0, 1), (0.5, 1, 1), (1, 1, 1), (2, 2, 2), (2, 0, 1)],  # the last: Ray's logical GPUs
)
def test_a_trial_takes_the_gpus_that_it_was_given(given, visible, expected, monkeypatch):
    from trainables.steps import replicas

    gpus = [SimpleNamespace(name=f"/device:GPU:{number}") for number in range(visible)]
    config = SimpleNamespace(list_logical_devices=lambda kind: gpus if kind == "GPU" else [])
    monkeypatch.setattr(replicas, "tf", SimpleNamespace(config=config))
    monkeypatch.setattr(replicas, "_strategy", lambda devices: devices)
    assert replicas.own_replicas(DeviceSpec(gpus=given)).count == expected
