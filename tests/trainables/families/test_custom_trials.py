"""The first epoch of a trial of `custom`: an error of the user's code is quoted with their own lines."""

import textwrap

import numpy as np
import pytest
from own_functions import FUNCTION, HEADER

from search_spaces import Variant
from trainables.data.cache.prepare import prepare_dataset
from trainables.reports import EpochReport, Failure, FailureKind
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data_spec(tmp_path_factory):
    return DataSpec(source="digits", limit=120, cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def dataset(data_spec):
    return prepare_dataset(data_spec, 3)


@pytest.fixture
def first_step(data_spec, dataset, tmp_path):
    """Returns what a worker makes of the first epoch of a function in nets.py."""

    def step(text):
        (tmp_path / "nets.py").write_text(HEADER + textwrap.dedent(text), encoding="utf-8")
        spec = WorkerSpec(
            dataset=dataset,
            data=data_spec,
            split_seed=3,
            training=TrainingSpec(max_epochs=2, metric="val_accuracy", mode="max", study_dir=str(tmp_path)),
            device=DeviceSpec(cpus=1),
            checkpoints=str(tmp_path / "checkpoints"),
        )
        variant = Variant(family="custom", params={"function": "nets:build", "batch_size": 32}, seed=0)
        return TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=spec).step()

    return step


OPENING = """
import importlib
import numpy as np

def build(params, input_shape, targets):
    helper = importlib.import_module("hel" + "per")
    scale = float(np.load(helper.WEIGHTS)["scale"])
    image = keras.Input(input_shape)
    features = layers.Flatten()(layers.Rescaling(scale)(image))
    return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""


@pytest.mark.parametrize("changed", ["weights.npz", "helper.py"])
def test_what_a_build_imports_by_name_or_opens_may_not_change_while_a_study_runs(first_step, tmp_path, changed):
    weights = tmp_path / "weights.npz"
    np.savez(weights, scale=1 / 255)
    (tmp_path / "helper.py").write_text(f"WEIGHTS = {str(weights)!r}")
    assert isinstance(first_step(OPENING), EpochReport)
    assert isinstance(first_step(OPENING), EpochReport)
    if changed == "weights.npz":
        np.savez(weights, scale=1 / 128)
    else:
        (tmp_path / changed).write_text(f"WEIGHTS = {str(weights)!r}  # changed")
    failure = first_step(OPENING)
    assert failure.kind is FailureKind.DATA_ERROR
    assert failure.reason == (
        f"function 'nets:build': {changed}, which it imports or opens, changed while the study runs, and results of "
        "different code or data cannot be compared; restore it, or run the study anew in a new folder"
    )


LAYER = """
class Odd(layers.Layer):
    def call(self, inputs, training=None):
        {}
        return inputs
{}
""".format("{}", FUNCTION.format("keras.Model(i, layers.Dense(10, activation='softmax')(Odd()(h)))"))
STEP = """
class Own(keras.Model):
    def train_step(self, data):
        {}
{}
""".format("{}", FUNCTION.format("Own(i, layers.Dense(10, activation='softmax')(h))"))

#: What the user wrote, the failure's first line, and what its own lines must tell.
FAILURES = [
    ("1 / 0\n", "nets.py:4: ZeroDivisionError: division by zero", ["1 / 0"]),
    ("import surely_absent\n", "nets.py:4: ModuleNotFoundError: No module named 'surely_absent'", []),
    ("x = (\n", "nets.py:4: SyntaxError: '(' was never closed (nets.py, line 4)", ["x = ("]),
    ("exit('bye')\n", "nets.py:4: SystemExit: bye", []),
    ("open('/no/such/file')\n", "nets.py:4: FileNotFoundError: [Errno 2] No such file or directory", []),
    (FUNCTION.format("keras.Model(i, h + undefined)"), "nets.py:8: NameError: name 'undefined' is not defined", []),
    (FUNCTION.format("layers.Conv2D(-1, 3)(i)"), "nets.py:8: ValueError: Invalid value for argument `filters`", []),
    (LAYER.format("raise ValueError('no')"), "nets.py:7: ValueError: no", ["in build", "in call", "Odd()(h)"]),
    (LAYER.format("inputs @ keras.ops.zeros((3, 3))"), "nets.py:7: ValueError: ", ["in build", "in call"]),
    (LAYER.format("{}['gone'] if training else 0"), "nets.py:7: KeyError: gone", ["in call"]),
    (STEP.format("raise RuntimeError('mine')"), "nets.py:7: RuntimeError: mine", ["in train_step"]),
    (STEP.format("return self.helper(data)"), "nets.py:7: AttributeError: 'Own' object has no attribute 'helper'", []),
    (FUNCTION.format("None"), "function 'nets:build': expected it to return a keras.Model, got nothing", []),
]


@pytest.mark.parametrize(("text", "reason", "lines"), FAILURES)
def test_an_error_of_the_users_code_is_told_with_their_lines_and_none_of_ours(first_step, text, reason, lines):
    failure = first_step(text)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CODE_ERROR
    assert failure.reason.startswith(reason)
    assert "\n" not in failure.reason
    assert all(line in failure.details for line in lines)
    assert not any(word in failure.details for word in ("trainables/", "site-packages", "\x1b", "autograph"))


def test_a_user_may_refuse_a_variant_in_words(first_step):
    text = (
        "from trainables.errors import InfeasibleError\n\ndef build(p, s, t):\n    raise InfeasibleError('too wide')\n"
    )
    failure = first_step(text)
    assert (failure.kind, failure.reason, failure.details) == (FailureKind.INFEASIBLE, "too wide", "")


def test_too_little_memory_in_the_users_code_stays_what_it_is(first_step):
    assert first_step("raise MemoryError\n").kind is FailureKind.OUT_OF_MEMORY


def test_a_model_of_classes_with_a_train_step_of_their_own_is_trained(first_step):
    text = """
    import tensorflow as tf

    class Own(keras.Model):
        def __init__(self, size):
            super().__init__()
            self.inner = keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(size)])
            self.counted = keras.metrics.Mean(name="counted")

        def call(self, inputs, training=None):
            return keras.ops.softmax(self.inner(inputs, training=training))

        def train_step(self, data):
            self.counted.update_state(2.0)
            return super().train_step(data)

    def build(params, input_shape, targets):
        return Own(targets[0].size)
    """
    report = first_step(text)
    assert isinstance(report, EpochReport)
    assert report.metrics["counted"] == 2.0
    assert np.isfinite(report.metrics["val_loss"])
