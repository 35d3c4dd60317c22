#!/usr/bin/env bash
# A new momentum, weight decay or dropout rate changes nothing after the first `fit`; a new learning rate does.
#
# One would guess: `model.optimizer.momentum = 0.1` acts like `model.optimizer.learning_rate = 0.1`, or raises.
# What happens: the attribute reads 0.1 from then on, and training goes on with the old value without a word: only the
# learning rate is a variable, all others were written into the compiled step as constants.
# Who is hurt: schedules of momentum or weight decay in callbacks, and whoever unfreezes or cools a model between two fits.
# Ours: trainables/graphs/dynamic_parameters.py reads these from variables, so that variants share one trace; SGD
# asks `momentum != 0` while it is traced, hence a variable that answers yes.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np
from keras import layers

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = x.sum(axis=1)


def first_weight(change):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dropout(0.1, seed=1), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.001), loss="mse")
    model.fit(x, y, verbose=0, shuffle=False)
    change(model)
    model.fit(x, y, verbose=0, shuffle=False)
    return float(model.get_weights()[0][0, 0])


changes = {
    "momentum": lambda model: setattr(model.optimizer, "momentum", 0.1),
    "weight_decay": lambda model: setattr(model.optimizer, "weight_decay", 0.9),
    "dropout rate": lambda model: setattr(model.layers[1], "rate", 0.9),
    "learning_rate": lambda model: setattr(model.optimizer, "learning_rate", 0.1),
}
before = first_weight(lambda model: None)
print("nothing changed between the fits: a weight of", before)
after = {name: first_weight(change) for name, change in changes.items()}
for name, weight in after.items():
    print(f"another {name}: {weight}")
if after.pop("learning_rate") == before:
    sys.exit("changed: a new learning rate has no effect either")
if any(weight != before for weight in after.values()):
    sys.exit("changed: one of momentum, weight_decay and the dropout rate now acts on a model that was trained before")
PYTHON
