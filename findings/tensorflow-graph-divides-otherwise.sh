#!/usr/bin/env bash
# Inside a `tf.function`, x / 3.0 is another number than outside, and than x / a variable that is 3.
#
# One would guess: tracing changes speed, not arithmetic.
# What happens: the graph's optimizer turns a division by a constant into a product with its reciprocal, folds `1 - 0.9`
# and rewrites powers; each rounds otherwise. With a variable in the constant's place nothing is folded.
# Who is hurt: whoever compares a compiled step with an eager one bit by bit, or makes a constant a variable (to change it
# later) and wonders why a seeded training gives other numbers.
# Ours: trainables/graphs/dynamic_parameters.py reads its parameters from variables in every training, so that a trial
# that shares a trace has the numbers of one that made its own.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf

x = tf.constant(np.random.default_rng(0).uniform(0, 1, 1000).astype("float32"))
three = tf.Variable(3.0)
eager = (x / 3.0).numpy()
constant = tf.function(lambda x: x / 3.0, autograph=False)(x).numpy()
variable = tf.function(lambda x: x / three, autograph=False)(x).numpy()
print("of 1000 quotients differ from eager ones: with a constant", (constant != eager).sum(), ", with a variable", (variable != eager).sum())
if (constant == eager).all():
    sys.exit("changed: a graph divides by constants as eager code does")
if (variable != eager).any():
    sys.exit("changed: a graph divides by variables otherwise, too")
PYTHON
