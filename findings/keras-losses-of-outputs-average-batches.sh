#!/usr/bin/env bash
# Keras's losses of single outputs are means over batches, its metrics and its whole loss are means over examples.
#
# One would guess: a model with two outputs reports `a_loss`, `b_loss` and `loss`, and `loss` is their sum.
# What happens: where the last batch is smaller than the others, `a_loss` and `b_loss` count it like a whole one, so they
# depend on the batch size and do not add up to `loss`; a metric with the same formula is right.
# Who is hurt: whoever compares models, or picks an epoch, by the loss of one output; with small data it is far off.
# Ours: trainables/steps/metrics.py has a mean of its own (`MeanLoss`) for the losses of several targets.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np

image = keras.Input((1,))
outputs = {name: keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name=name)(image) for name in "ab"}
model = keras.Model(image, outputs)
model.compile(loss={"a": "mse", "b": "mse"}, metrics={"a": ["mse"], "b": ["mse"]})
x = np.array([[0.0], [0.0], [0.0], [3.0]], "float32")
y = {"a": np.zeros_like(x), "b": np.zeros_like(x)}
found = {size: model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True) for size in (4, 3)}
for size, values in found.items():
    print(f"batches of {size}:", values)
odd = found[3]
if abs(odd["a_loss"] - odd["a_mse"]) < 1e-6:
    sys.exit("changed: the loss of an output is now a mean over examples")
if abs(odd["loss"] - found[4]["loss"]) > 1e-6:
    sys.exit("changed: the whole loss now depends on the batch size, too")
print(f"a_loss + b_loss = {odd['a_loss'] + odd['b_loss']:g}, but loss = {odd['loss']:g}")
PYTHON
