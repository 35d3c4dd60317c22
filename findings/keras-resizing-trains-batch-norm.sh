#!/usr/bin/env bash
# A Keras resizing layer before a batch normalisation makes it train where the model is merely called.
#
# One would guess: `model(images)` without `training` is inference, as Keras documents it, whatever layers there are.
# What happens: behind `layers.Resizing` (or RandomFlip, CenterCrop) the later layers run as in training: the batch
# normalisation normalises by the batch and moves its averages. `predict` on the same images answers otherwise.
# Who is hurt: whoever calls a model to look at its outputs or to serve them: outputs depend on the other images of the
# batch, and every call changes the model's weights.
# Ours: trainables/families/transfer.py resizes by `ops.image.resize`, which has no part in this.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np
from keras import layers, ops

images = np.random.default_rng(0).normal(5, 3, (8, 4, 4, 3)).astype("float32")
moved = {}
for name, resize in {
    "layers.Resizing": layers.Resizing(8, 8),
    "ops.image.resize": lambda image: ops.image.resize(image, (8, 8)),
}.items():
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.BatchNormalization()(resize(image)))
    called = np.asarray(model(images))
    moved[name] = float(np.abs(model.layers[-1].moving_mean.numpy()).max())
    predicted = model.predict(images, verbose=0)
    print(f"{name}: mean of model(images) {called.mean():.3f}, of predict {predicted.mean():.3f}; ", end="")
    print(f"moving_mean moved by {moved[name]:.3f}")
if moved["layers.Resizing"] == 0:
    sys.exit("changed: a model with layers.Resizing is now called for inference")
if moved["ops.image.resize"] != 0:
    sys.exit("changed: a model with ops.image.resize now trains where it is called")
PYTHON
