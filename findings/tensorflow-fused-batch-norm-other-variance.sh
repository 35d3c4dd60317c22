#!/usr/bin/env bash
# TensorFlow's kernel for batch normalisation gives another variance than Keras's layer keeps.
#
# One would guess: `FusedBatchNormV3` is what Keras's BatchNormalization computes, in one operation.
# What happens: it normalises alike, but the variance that it returns, for the moving average, has Bessel's correction
# (sum / (n - 1)); Keras keeps sum / n. For two values a channel that is twice as much.
# Who is hurt: whoever swaps one for the other, or moves weights between them: outputs in training agree to the last
# digits, predictions do not, the more so with small batches and images.
# Ours: trainables/graphs/fused_batch_norm.py uses the kernel and takes the correction out again.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

x = np.random.default_rng(0).normal(size=(2, 1, 2, 1)).astype("float32")
options = {"scale": [1.0], "offset": [0.0], "mean": [], "variance": [], "epsilon": 1e-3, "is_training": True}
fused, _, variance, *_ = tf.raw_ops.FusedBatchNormV3(x=x, **options)
layer = keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-3)
plain = np.asarray(layer(x, training=True))
kept = layer.moving_variance.numpy()
print("largest difference of the outputs:", float(np.abs(fused - plain).max()))
print(f"variance of 4 values: kernel {variance[0]:.5f}, Keras {kept[0]:.5f}; n/(n-1) = {4 / 3:.4f}, ratio {variance[0] / kept[0]:.4f}")
if abs(variance[0] / kept[0] - 4 / 3) > 1e-4:
    sys.exit("changed: kernel and layer do not differ by Bessel's correction any more")
PYTHON
