"""What of the machine a worker's TensorFlow may use; GPUs are faked, since there are none where this is tested."""

import subprocess
import sys
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context

from trainables.catalog.families import FAMILIES
from trainables.specs.data import AugmentSpec
from trainables.specs.worker import DeviceSpec
from trainables.training import devices

SCRIPT = """
import logging
import tensorflow as tf
from trainables.training.devices import configure_devices
from trainables.specs.worker import DeviceSpec
logging.basicConfig(format="%(message)s", stream=__import__("sys").stdout)
configure_devices(DeviceSpec(cpus=2.5))
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
print(len(tf.config.get_visible_devices("GPU")))
print(int(tf.reduce_sum(tf.ones([3]))))
configure_devices(DeviceSpec(cpus=1))
print(int(tf.reduce_sum(tf.ones([4]))))
"""


class PhysicalDevice(NamedTuple):
    name: str


GPUS = [PhysicalDevice(name=f"GPU:{number}") for number in range(2)]
ONCE = rewriter_config_pb2.RewriterConfig.ONE
THREADS = [("set_intra_op_parallelism_threads", 1), ("set_inter_op_parallelism_threads", 1)]


@pytest.mark.slow
def test_a_trial_has_its_share_of_threads_and_keeps_them_once_it_has_computed():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    shares, gpus, three, warning, four = done.stdout.splitlines()
    assert (shares, gpus, three, four) == ("2 2", "0", "3", "4")
    assert warning.startswith("devices unchanged reason=")


@pytest.fixture
def configured(monkeypatch):
    """Returns what TensorFlow is told, in order, for a share of a machine with some GPUs."""

    def tell(spec, *, gpus=(), memory=None):
        calls, limits = [], {}

        def noting(name):
            return lambda *values: calls.append((name, *values))

        def limit(gpu, configurations):
            calls.append(("set_logical_device_configuration", gpu, configurations))
            limits[gpu] = configurations

        # Only what is here may be called: everything else could make TensorFlow take all of a GPU.
        config = SimpleNamespace(
            threading=SimpleNamespace(**{name: noting(name) for name, _ in THREADS}),
            list_physical_devices=lambda kind: list(gpus) if kind == "GPU" else [],
            get_logical_device_configuration=limits.get,
            set_visible_devices=noting("set_visible_devices"),
            set_logical_device_configuration=limit,
            LogicalDeviceConfiguration=lambda *, memory_limit: memory_limit,
            experimental=SimpleNamespace(set_memory_growth=noting("set_memory_growth")),
        )
        monkeypatch.setattr(devices, "tf", SimpleNamespace(config=config))
        monkeypatch.setattr(devices, "gpu_memory_mib", lambda: memory or {})
        monkeypatch.setattr(devices, "pin_process", noting("pin_process"))
        # A worker asks for each of its trials.
        devices.configure_devices(spec)
        told = list(calls)
        devices.configure_devices(spec)
        return told, calls[len(told) :]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return tell


def test_a_trial_without_gpus_sees_none(configured):
    told, _ = configured(DeviceSpec(), gpus=[GPUS[0]])
    assert told == [*THREADS, ("set_visible_devices", [], "GPU")]


def test_a_part_of_a_gpu_has_its_part_of_the_memory(configured):
    told, again = configured(DeviceSpec(gpus=0.25), gpus=[GPUS[0]], memory={"0": 16_000})
    assert told == [*THREADS, ("set_logical_device_configuration", GPUS[0], [2_976])]
    assert again == THREADS  # the pool stays as it is


def test_the_memory_of_whole_gpus_grows(configured):
    told, _ = configured(DeviceSpec(gpus=2), gpus=[GPUS[0], GPUS[1]], memory={"0": 16_000, "1": 16_000})
    assert told == [*THREADS, ("set_memory_growth", GPUS[0], True), ("set_memory_growth", GPUS[1], True)]


def test_a_part_of_a_gpu_of_unknown_size_grows_and_that_is_told(configured, caplog):
    told, _ = configured(DeviceSpec(gpus=0.5), gpus=[GPUS[0]])
    assert told == [*THREADS, ("set_memory_growth", GPUS[0], True)]
    assert "gpu=GPU:0 memory unlimited, because nvidia-smi does not tell" in caplog.text


def test_a_logical_gpu_without_hardware_is_no_error(configured):
    told, _ = configured(DeviceSpec(gpus=0.5))
    assert told == THREADS


@pytest.mark.parametrize(
    ("given", "seen", "words"),
    [
        (0, 0, ""),
        (0.5, 1, ""),
        (2, 2, ""),
        (0.5, 0, "was given 0.5 GPUs, but TensorFlow sees 0: it trains on CPUs; install CUDA's libraries with: "),
        (2, 1, "was given 2 GPUs, but TensorFlow sees 1: it trains on 1 of them; install "),
    ],
)
def test_gpus_that_tensorflow_does_not_see_are_told(given, seen, words, monkeypatch):
    config = SimpleNamespace(get_visible_devices=lambda kind: GPUS[:seen] if kind == "GPU" else [])
    monkeypatch.setattr(devices, "tf", SimpleNamespace(config=config))
    told = devices.missing_gpus(DeviceSpec(gpus=given))
    assert told.startswith(words)
    assert bool(told) is bool(words)


def test_cores_are_taken_before_threads_start(configured):
    told, _ = configured(DeviceSpec(cpus=1, pin_cpus=True))
    assert told[0] == ("pin_process", 1)
    assert told[1:3] == THREADS


@pytest.fixture
def rewritten():
    """Returns how often TensorFlow rewrites the graphs that this thread runs, for a trial on a device; 0: default."""

    def times(spec=None):
        context.context().function_call_options = None
        if spec:
            devices.rewrite_graphs_once(spec)
        told = config_pb2.ConfigProto.FromString(context.context().function_call_options.config_proto_serialized)
        return told.graph_options.rewrite_options.meta_optimizer_iterations

    yield times
    times()


def test_graphs_are_rewritten_once_on_cpus_and_as_often_as_tensorflow_likes_on_gpus(rewritten):
    assert [rewritten(), rewritten(DeviceSpec()), rewritten(DeviceSpec(gpus=1))] == [0, ONCE, 0]


@pytest.mark.parametrize(
    "case",
    [
        *({"family": family} for family in FAMILIES),
        {"num_micro_batches": 3},
        {"optimizer": "lamb", "clip_norm": 0.05, "ema_momentum": 0.7, "schedule": "one_cycle"},
        {"family": "residual", "optimizer": "sgd", "momentum": 0.9, "gradient_accumulation": 2, "l2": 0.01},
        {"family": "functional", "augment": {"flip": "both", "shift": 0.2, "mixup": 0.2, "cutmix": 1.0}},
    ],
    ids=lambda case: "-".join([case.get("family", "sequential"), *sorted(case.keys() - {"family"})]),
)
def test_graphs_that_are_rewritten_once_give_the_same_numbers(rewritten, training_of, variant_of, same_state, case):
    params = {"num_micro_batches": 1, "augment": {}, **case}
    num_micro_batches, augment = params.pop("num_micro_batches"), AugmentSpec(**params.pop("augment"))

    def trained():
        training = training_of(variant_of(**params), max_epochs=3, augment=augment)
        training.num_micro_batches = num_micro_batches
        return [report.metrics for report in training.epochs()], training.state()

    assert rewritten() != ONCE
    metrics, state = trained()
    assert rewritten(DeviceSpec(cpus=1)) == ONCE
    metrics_once, state_once = trained()
    assert metrics_once == metrics
    same_state(state_once, state)
