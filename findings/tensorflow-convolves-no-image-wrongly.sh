#!/usr/bin/env bash
# With oneDNN, a convolution of no image answers with as many channels as came in, not with as many as it makes.
#
# One would guess: a batch of 0 images of 3 channels through 5 filters is (0, 8, 8, 5), as TensorFlow's own kernels say.
# What happens: oneDNN's kernels, the default on x86, return (0, 8, 8, 3). Outside a graph the bias then refuses to be
# added; inside one it is fused, and whatever is fully convolutional, such as a model of masks, returns the wrong number
# of classes without a word. A layer further on may fail: "Incompatible shapes: [16] vs. [0,4,4,8]".
# Who is hurt: a server that is asked about an empty list of images, or whoever predicts a split that may be empty.
# Ours: trainables/opening/opened_model.py predicts one image in the place of none, and keeps no row of it.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
cat >"$work/shapes.py" <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf

filters, bias = np.ones((3, 3, 3, 5), "float32"), np.zeros(5, "float32")


def convolved(images):
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(images, filters, 1, "SAME"), bias))


traced = tf.function(convolved, input_signature=[tf.TensorSpec((None, 8, 8, 3))], autograph=False)
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3, padding="same", activation="relu")])
empty = tf.zeros((0, 8, 8, 3))
try:
    eager = tuple(convolved(empty).shape)
except tf.errors.InvalidArgumentError as exc:
    eager = str(exc).split("}} ")[-1].split(":")[0].split(" [Op")[0]
print(eager, tuple(traced(empty).shape), model.predict_on_batch(np.zeros((0, 8, 8, 3), "float32")).shape, sep="; ")
PYTHON
for onednn in 0 1; do
    TF_ENABLE_ONEDNN_OPTS=$onednn quietly python "$work/shapes.py" >"$work/shapes$onednn"
    echo "oneDNN $onednn, of no image: alone, in a graph, by Keras: $(cat "$work/shapes$onednn")"
done
grep -qF "(0, 8, 8, 5); (0, 8, 8, 5); (0, 8, 8, 5)" "$work/shapes0" || { echo "changed: without oneDNN as well"; exit 1; }
grep -qF "; (0, 8, 8, 3); (0, 8, 8, 3)" "$work/shapes1" || { echo "changed: oneDNN answers otherwise"; exit 1; }
