#!/usr/bin/env bash
# Setting a seed, or clearing the session, makes Keras models that are compiled already slow once more.
#
# One would guess: `keras.utils.set_random_seed` sets three numbers, and `keras.utils.clear_session` forgets names.
# What happens: both make TensorFlow drop all kernels that it has set up, among them the optimized graph of every compiled
# function in the process. The next step of each pays for its optimization anew, about a fifth of its first call.
# Who is hurt: processes that keep compiled models and train others beside them; a service that seeds each request.
# Ours: trainables/families/building.py keeps the kernels meanwhile, so that kept traces begin again at once.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import statistics
import sys
import time

import keras
import numpy as np
from keras import layers

blocks = [layer for _ in range(6) for layer in (layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU())]
model = keras.Sequential([keras.Input((16, 16, 3)), *blocks, layers.Flatten(), layers.Dense(10)])
model.compile("adam", loss="mse")
x, y = np.zeros((8, 16, 16, 3), "float32"), np.zeros((8, 10), "float32")


def step():
    began = time.perf_counter()
    model.train_on_batch(x, y)
    return time.perf_counter() - began


def next_steps(work, times=5):
    seconds = []
    for _ in range(times):
        step()
        work()
        seconds.append(step())
    return statistics.median(seconds)


first = step()
usual = next_steps(lambda: None)
seeded = next_steps(lambda: keras.utils.set_random_seed(0))
cleared = next_steps(keras.utils.clear_session)
print(f"seconds of a step: first {first:.3f}, usual {usual:.3f}, after a seed {seeded:.3f}, after clear_session {cleared:.3f}")
if min(seeded, cleared) < 3 * usual:
    sys.exit("changed: a seed or clear_session costs compiled models nothing any more")
PYTHON
