#!/usr/bin/env bash
# An exception of one's own, raised in a `tf.numpy_function`, cannot be caught by its class.
#
# One would guess: it reaches the caller, or stands behind TensorFlow's error as its `__cause__`.
# What happens: the caller gets an `UnknownError`, without a cause; of the exception only text is left. Some classes are
# translated: a ValueError becomes InvalidArgumentError, and a StopIteration OutOfRangeError, which ends `for` loops
# over a data set as if the data were at an end.
# Who is hurt: whoever reads images in such a function and wants to say which file is damaged.
# Ours: trainables/data/cache/encoded.py keeps the exception where trainables/data/batches/streaming.py finds it.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import tensorflow as tf


class DamagedImageError(Exception):
    """Says which image is damaged."""


def caught(error):
    def read(row):
        raise error

    try:
        tf.function(lambda: tf.numpy_function(read, [7], tf.int32), autograph=False)()
    except Exception as found:
        return found


for error in (DamagedImageError("cats/7.png"), FileNotFoundError("cats/7.png"), ValueError("7"), StopIteration()):
    found = caught(error)
    print(f"{type(error).__name__} arrives as {type(found).__name__}, __cause__ {found.__cause__}")
    if isinstance(found, type(error)) or found.__cause__ is not None:
        sys.exit("changed: the exception itself reaches the caller now")
PYTHON
