#!/usr/bin/env bash
# `import keras` imports all of scikit-learn where that is installed.
#
# One would guess: a deep learning library leaves an optional package alone until its wrapper is used.
# What happens: for the wrappers in `keras.wrappers` Keras imports scikit-learn, and SciPy's rest with it: some 600
# modules, about a fifth of the import's CPU time and 50 MB, in every process.
# Who is hurt: whoever starts many short processes with Keras, such as workers or command lines.
# Ours: trainables/machine/imports.py hides scikit-learn while a worker imports Keras.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6 scikit-learn==1.9.1
cat > "$work/cost.py" <<'PYTHON'
import sys
import time

if sys.argv[1] == "hidden":
    sys.modules["sklearn"] = None
began = time.process_time()
import keras

seconds = time.process_time() - began
pages = int(open("/proc/self/statm").read().split()[1])
loaded = sum(name.startswith(("sklearn", "scipy")) for name in sys.modules)
print(f"scikit-learn {sys.argv[1]}: {seconds:.1f} s of CPU, {pages * 4 // 1024} MB, {loaded} modules of it and SciPy")
sys.exit(3 if "sklearn.base" in sys.modules else 0)
PYTHON
quietly python "$work/cost.py" hidden >/dev/null # warms the disk's cache
quietly python "$work/cost.py" hidden
status=0
python "$work/cost.py" installed 2>/dev/null || status=$?
if [[ $status != 3 ]]; then
    echo "changed: Keras does not import scikit-learn any more (or not at all, exit code $status)" >&2
    exit 1
fi
