"""The CPUs, GPUs and memory that a worker's TensorFlow may use; to be set before its first operation.

`rewrite_graphs_once` sets what has no public name: `context.function_call_options`, seen in TensorFlow 2.21. A test in
tests/trainables/training/test_devices.py sees it go.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.eager import context

from trainables.machine.cores import pin_process
from trainables.machine.gpus import GPU_ADVICE, gpu_memory_mib, share_limit_mib, visible_memory_mib
from trainables.specs.worker import DeviceSpec

logger = logging.getLogger(__name__)


def configure_devices(spec: DeviceSpec) -> None:
    """Limits this process's TensorFlow to the trial's share of CPUs and GPUs.

    Thread pools as large as the machine are slower for small models than the share's own; a trial without GPUs must
    see none even where Ray leaves the environment untouched.
    """
    if spec.pin_cpus:
        # First of all: a thread runs on the cores of the thread that starts it.
        pin_process(spec.cpus)
    threads = spec.num_threads
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        if spec.gpus == 0:
            tf.config.set_visible_devices([], "GPU")
        else:
            _limit_memory(tf.config.list_physical_devices("GPU"), share=spec.gpus)
    except RuntimeError as exc:
        # TensorFlow keeps the pools of a process that has computed; it computes the same numbers with them.
        logger.warning('devices unchanged reason="%s"', exc)


def missing_gpus(spec: DeviceSpec) -> str:
    """Returns in words that TensorFlow sees fewer GPUs than Ray gave the trial; "" if it sees them all."""
    given, seen = math.ceil(spec.gpus), len(tf.config.get_visible_devices("GPU"))
    if seen >= given:
        return ""
    device = f"{seen} of them" if seen else "CPUs"
    return f"was given {spec.gpus:g} GPUs, but TensorFlow sees {seen}: it trains on {device}; {GPU_ADVICE}"


def rewrite_graphs_once(spec: DeviceSpec) -> None:
    """Makes TensorFlow rewrite each graph that this thread runs on CPUs once instead of twice, before its first run.

    The second time takes 0.05 s a trial and changes neither a number nor the seconds of an epoch; on GPUs, where
    TensorFlow rewrites layouts as well, that was not measured. Exports do without it: files of graphs would keep it.
    """
    if spec.gpus:
        return
    config = context.context().config
    config.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    context.context().function_call_options.config_proto_serialized = config


def _limit_memory(gpus: Sequence[Any], *, share: float) -> None:
    """Limits a share of a GPU to its share of the memory, and lets whole GPUs grow as they need."""
    if share < 1 and any(tf.config.get_logical_device_configuration(gpu) for gpu in gpus):
        # An earlier trial of this process set it: nvidia-smi takes a second to answer where no driver is resident.
        return
    total = visible_memory_mib(gpu_memory_mib()) if share < 1 and gpus else None
    for gpu in gpus:
        if total is None:
            if share < 1:
                logger.warning("gpu=%s memory unlimited, because nvidia-smi does not tell how much there is", gpu.name)
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            # TensorFlow's megabytes are MiB.
            limit = tf.config.LogicalDeviceConfiguration(memory_limit=share_limit_mib(share, total_mib=total))
            tf.config.set_logical_device_configuration(gpu, [limit])
