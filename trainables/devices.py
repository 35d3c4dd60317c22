"""What of the machine a worker's TensorFlow may use; to be set before its first operation."""

import logging

import tensorflow as tf

from trainables.worker_spec import DeviceSpec

logger = logging.getLogger(__name__)


def configure_devices(spec: DeviceSpec) -> None:
    """Limits this process's TensorFlow to the trial's share of CPUs and GPUs.

    Thread pools as large as the machine are slower for small models than the share's own; a trial without GPUs must
    see none even where Ray leaves the environment untouched. Memory grows on demand, so that trials can share a GPU.
    """
    threads = spec.num_threads
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        gpus = tf.config.list_physical_devices("GPU")
        if spec.gpus == 0:
            tf.config.set_visible_devices([], "GPU")
            return
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as exc:
        # A process that has computed already keeps its pools; it still computes the same numbers.
        logger.warning('devices unchanged reason="%s"', exc)
