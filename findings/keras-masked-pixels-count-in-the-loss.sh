#!/usr/bin/env bash
# Pixels that are masked out count in Keras's loss and not in its metric; those of an ignored class make the loss depend
# on the batch size.
#
# One would guess: `sample_weight` of 0 and `ignore_class=255` are two ways to leave pixels out, and both give the mean
# over the other pixels, as the metric of the same name does.
# What happens: with weights of 0 the loss is divided by all pixels. With `ignore_class` it is divided by the pixels that
# count, batch by batch, and the batches are averaged by their images: `evaluate` gives another loss for each batch size.
# Who is hurt: whoever compares segmentation models by `val_loss` while the batch size or the share of unlabelled pixels
# differs, as in a sweep over batch sizes.
# Ours: trainables/steps/losses.py means over the counted pixels of each image, then over images, so batches play no part;
# trainables/steps/metrics.py counts pixels.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np

generator = np.random.default_rng(0)
predicted = generator.random((2, 4, 4, 3)).astype("float32")
predicted /= predicted.sum(axis=-1, keepdims=True)
classes = generator.integers(0, 3, (2, 4, 4))
counts = np.ones((2, 4, 4), bool)
counts[0, :3] = False
of_pixel = -np.log(np.take_along_axis(predicted, classes[..., None], -1)[..., 0])
exact = {"pixels that count": of_pixel[counts].mean(), "all pixels": (of_pixel * counts).sum() / counts.size}
print({name: round(float(value), 5) for name, value in exact.items()})

weighted = float(keras.losses.SparseCategoricalCrossentropy()(classes, predicted, sample_weight=counts))
metric = keras.metrics.SparseCategoricalCrossentropy()
metric.update_state(classes, predicted, sample_weight=counts.astype("float32"))
print(f"sample_weight: loss {weighted:.5f}, metric {float(metric.result()):.5f}")
ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
labels = np.where(counts, classes, 255)
model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Activation("linear")])
model.compile(loss=ignoring)
by_size = {size: model.evaluate(predicted, labels, batch_size=size, verbose=0) for size in (1, 2)}
print("ignore_class: loss by batch size", by_size)

if abs(weighted - exact["all pixels"]) > 1e-5:
    sys.exit("changed: pixels of weight 0 no longer count in the loss")
if abs(float(metric.result()) - exact["pixels that count"]) > 1e-5:
    sys.exit("changed: the metric no longer is a mean over the pixels that count")
if abs(by_size[2] - exact["pixels that count"]) > 1e-5:
    sys.exit("changed: an ignored class no longer leaves the mean over the pixels that count")
if abs(by_size[1] - by_size[2]) < 1e-3:
    sys.exit("changed: the loss with an ignored class no longer depends on the batch size")
PYTHON
