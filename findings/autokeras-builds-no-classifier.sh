#!/usr/bin/env bash
# AutoKeras's image classifier builds no model with today's Keras, whatever labels it is given.
#
# One would guess: the newest AutoKeras, which asks for any Keras from 3.0 on, trains what its first example shows; if not,
# its tuner would say that the trial failed and go on.
# What happens: AutoKeras keeps the shapes of its data as NumPy arrays, so that the number of classes is a NumPy integer;
# Keras's Dense takes only Python's. Every fit ends in a ValueError about `units`, which names a positive number, before
# the first trial: with whole numbers as labels as with one-hot ones.
# Who is hurt: whoever installs both today, and whoever compares with AutoKeras and takes the failure for their own data's.
# Ours: benchmarks/first_run/autokeras_search.py makes these shapes Python's integers, so that AutoKeras can play.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6 keras-tuner==1.4.8 autokeras==3.0.0 tensorboard==2.21.0
cat > "$work/fit.py" <<'PYTHON'
import sys

import autokeras
import numpy as np

random = np.random.default_rng(0)
images, labels = random.integers(0, 256, (64, 16, 16, 3)).astype("uint8"), np.arange(64) % 4
wrong = []
for kind, given in (("whole numbers", labels), ("one-hot", np.eye(4, dtype="float32")[labels])):
    classifier = autokeras.ImageClassifier(max_trials=1, overwrite=True, directory=sys.argv[1])
    try:
        classifier.fit(images, given, epochs=1, verbose=0)
        said = "trained"
        wrong.append(kind)
    except ValueError as error:
        said = str(error).splitlines()[0]
        if "`units`" not in said:
            wrong.append(kind)
    print(f"labels as {kind}: {said}")
sys.exit(3 if wrong else 0)
PYTHON
status=0
python "$work/fit.py" "$work/search" 2>/dev/null || status=$?
if [[ $status != 0 ]]; then
    echo "changed: AutoKeras trains with this Keras, or fails otherwise (exit code $status)" >&2
    exit 1
fi
