"""What of the machine a worker's TensorFlow may use."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging
import tensorflow as tf
from trainables.devices import configure_devices
from trainables.worker_spec import DeviceSpec
logging.basicConfig(format="%(message)s", stream=__import__("sys").stdout)
configure_devices(DeviceSpec(cpus=2.5))
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
print(len(tf.config.get_visible_devices("GPU")))
print(int(tf.reduce_sum(tf.ones([3]))))
configure_devices(DeviceSpec(cpus=1))
print(int(tf.reduce_sum(tf.ones([4]))))
"""


@pytest.mark.slow
def test_a_trial_has_its_share_of_threads_and_keeps_them_once_it_has_computed():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    shares, gpus, three, warning, four = done.stdout.splitlines()
    assert (shares, gpus, three, four) == ("2 2", "0", "3", "4")
    assert warning.startswith("devices unchanged reason=")
