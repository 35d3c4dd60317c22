#!/usr/bin/env bash
# Under XLA, a Keras Dropout layer with the same seed drops other units.
#
# One would guess: `jit_compile` is a matter of speed and of last bits; a stateless random operation is a function of its
# seed, as TensorFlow documents it.
# What happens: compiled by XLA, `tf.random.stateless_uniform` draws other numbers from the same seed, so about half of a
# mask of rate 0.5 differs. Keras's `jit_compile="auto"` is off on CPUs and on where there is a GPU.
# Who is hurt: whoever repeats a seeded training of a GPU on a CPU, or switches XLA on for speed, and expects the same
# network up to rounding: it is another one.
# Ours: trainables/steps/compiling.py compiles every model with `jit_compile=False`.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import tensorflow as tf


def mask(jit_compile):
    layer = keras.layers.Dropout(0.5, seed=5)
    draw = tf.function(lambda x: layer(x, training=True), jit_compile=jit_compile, autograph=False)
    return draw(tf.ones((64, 64))).numpy()


plain, again, xla = mask(False), mask(False), mask(True)
print(f"units that differ: {(plain != again).mean():.0%} between two runs without XLA, {(plain != xla).mean():.0%} with it")
if (plain != again).any():
    sys.exit("changed: the same seed gives two masks without XLA")
if (plain == xla).all():
    sys.exit("changed: XLA draws the same mask now")
PYTHON
