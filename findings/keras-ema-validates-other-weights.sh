#!/usr/bin/env bash
# Keras validates other weights than it leaves where `use_ema` is on.
#
# One would guess: with `use_ema=True` (running averages of the weights), the validation losses that `fit` reports are
# those of the averages, which are what the model has afterwards.
# What happens: every epoch validates the weights as they were trained; after the last epoch `fit` overwrites them with
# the averages. The model that is left was never validated, and can be far worse or better than its last `val_loss`.
# Who is hurt: whoever picks an epoch, stops early or compares models by `val_loss`, and then saves the model.
# Ours: trainables/training/state.py lends the averages to validation and to exports, and gives the weights back.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.99), loss="mse")
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1)
reported = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history["val_loss"][-1]
left = model.evaluate(x, y, verbose=0)
print(f"last val_loss that fit reported: {reported:.3f}; loss of the model that fit left, on the same data: {left:.3f}")
if abs(left - reported) < 1e-3 * reported:
    sys.exit("changed: fit now validates the weights that it leaves")
PYTHON
