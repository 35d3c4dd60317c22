#!/usr/bin/env bash
# Every model that Keras trains leaves its graphs in the process for good.
#
# One would guess: `del model`, `keras.utils.clear_session()` and `gc.collect()` free what a training took.
# What happens: Keras's optimizers call `all_reduce` even on one device; TensorFlow registers a gradient for it in a table
# that is never emptied, and that gradient holds the graph. Models that were only evaluated are freed.
# Who is hurt: processes that train one model after the other, as searches do: they grow until they are killed.
# Ours: trainables/families/parts/keras_internals.py replaces the optimizer's sum over replicas; where there are several,
# trainables/steps/replicas.py sums up without `all_reduce`.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
quietly python - <<'PYTHON'
import gc
import logging
import sys

import keras
import numpy as np
import tensorflow as tf

logging.getLogger("tensorflow").setLevel(logging.ERROR)
x, y = np.zeros((8, 4), "float32"), np.zeros((8, 2), "float32")


def graphs_after(work):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", loss="mse")
    work(model)
    del model
    keras.utils.clear_session()
    gc.collect()
    return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())


evaluated = [graphs_after(lambda model: model.evaluate(x, y, verbose=0)) for _ in range(5)]
trained = [graphs_after(lambda model: model.fit(x, y, verbose=0)) for _ in range(5)]
print("graphs alive after each of five models that were evaluated:", evaluated)
print("graphs alive after each of five models that were trained:  ", trained)
if evaluated[-1] > evaluated[0]:
    sys.exit("changed: models that were only evaluated leave graphs, too")
if trained[-1] - trained[0] < 4:
    sys.exit("changed: a trained model leaves no graph any more")
PYTHON
