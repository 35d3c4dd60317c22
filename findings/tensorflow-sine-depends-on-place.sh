#!/usr/bin/env bash
# TensorFlow's sine of a number depends on where in a tensor the number stands.
#
# One would guess: an elementwise function gives equal numbers for equal inputs on one machine.
# What happens: on CPUs most elements go through vector instructions and the rest at the end through a scalar routine,
# which rounds otherwise: the same value has two sines in one tensor, apart by the last bit. `cos`, `exp` and `sigmoid` too.
# (Where each lies depends on the CPU's vector width.)
# Who is hurt: whoever promises that an image's augmentation, or a result, does not depend on the batch it came in.
# Ours: trainables/data/augment/amounts.py computes angles in float64 and rounds, so that the bit goes.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf

values = np.random.default_rng(0).uniform(-3, 3, 500).astype("float32")


def num_split(function):
    """Returns how many values have two results among 19 copies of themselves in one tensor."""
    return sum(len(np.unique(function(np.full(19, value)))) > 1 for value in values)


def through_float64(copies):
    return tf.cast(tf.sin(tf.cast(copies, tf.float64)), tf.float32).numpy()


found = {name: num_split(lambda copies, name=name: getattr(tf.math, name)(copies).numpy()) for name in ("sin", "cos", "exp", "sigmoid")}
print(f"of {len(values)} values, so many have two results in one tensor:", found, "sin through float64:", num_split(through_float64))
if not found["sin"]:
    sys.exit("changed, or another kind of CPU: equal numbers have equal sines now")
if num_split(through_float64):
    sys.exit("changed: float64 does not help any more")
PYTHON
