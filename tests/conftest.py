"""TensorFlow in the tests computes as in a worker with one CPU: several threads add up in any order."""

import os

# Read when TensorFlow is first used, by whichever test of a process comes first.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
