#!/usr/bin/env bash
# Keras Tuner's own search fails on a parameter that two conditional scopes name alike.
#
# One would guess: a parameter that is asked for under model "a" and, with the same range, under model "b" is one that
# is active under both, or one for each.
# What happens: the space keeps an entry for each scope, but a trial's values go by the name alone, and are looked up in
# the entry that was made first. In RandomSearch, trials of the other scope have no value for it, and fail with a KeyError
# when the same build asks for it again: of six trials, those of one model all fail, and the search goes on to the end
# with those of the other.
# Who is hurt: whoever gives both branches of a model a number of "units": half of the space is never trained, and the
# summary names the best of the other half.
# Ours: trainables/hypermodels/findings.py takes equal ranges for one parameter, and refuses two different ones under one name.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv keras-tuner==1.4.8 tensorflow==2.21.0 keras==3.15.1 tensorboard==2.21.0 numpy==2.4.6
quietly python - <<'PYTHON'
import collections
import sys
import tempfile

import keras
import keras_tuner
import numpy as np


def build(hp):
    kind = hp.Choice("model", ["a", "b"])
    with hp.conditional_scope("model", ["a"]):
        if kind == "a":
            units = hp.Int("units", 8, 64)
    with hp.conditional_scope("model", ["b"]):
        if kind == "b":
            units = hp.Int("units", 8, 64)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


tuner = keras_tuner.RandomSearch(
    build, objective="val_loss", max_trials=6, seed=1, directory=tempfile.mkdtemp(), project_name="p",
    max_consecutive_failed_trials=6,
)
random = np.random.default_rng(0)
images, labels = random.random((32, 4)), random.random((32, 1))
tuner.search(images, labels, validation_data=(images, labels), epochs=1, verbose=0)
ended = collections.Counter()
messages = set()
for trial in tuner.oracle.trials.values():
    ended[(trial.hyperparameters.values.get("model"), str(trial.status))] += 1
    if trial.message:
        messages.add(trial.message.strip().splitlines()[-1])
for (kind, status), count in sorted(ended.items()):
    print(f"model {kind}: {count} trials {status}")
print(f"of the last lines of their messages: {sorted(messages)}")
failed = {kind for kind, status in ended if status != "COMPLETED"}
worked = {kind for kind, status in ended if status == "COMPLETED"}
if not failed or failed & worked or not any("units" in message for message in messages):
    sys.exit("changed: the models of both scopes are trained")
PYTHON
