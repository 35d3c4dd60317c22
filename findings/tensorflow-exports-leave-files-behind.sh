#!/usr/bin/env bash
# Each forked child of `multiprocessing` that writes a SavedModel leaves Python files among the temporary ones, for good.
#
# One would guess: an export leaves its folder, and what else it needs goes with the process that wrote it.
# What happens: AutoGraph rewrites two functions that Keras and TensorFlow add to every such SavedModel, writes them
# to `__autograph_generated_file*.py`, and removes these when Python's `atexit` functions run. Children that
# `multiprocessing` forks, itself or by its fork server, end without them, as does every process that a signal ends: two
# files stay for each such process, and nothing removes them. Of a spawned child, and of a process by itself, none is left.
# Who is hurt: whoever exports models in a pool, a server's child or a Ray worker for months: a temporary folder of
# small files of code that nobody can tell the origin of.
# Ours: trainables/machine/generated_code.py removes them after trainables/exporting/formats.py wrote a SavedModel, and
# after each epoch, as functions of users are rewritten as well.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
cat >"$work/exporting.py" <<'PYTHON'
import multiprocessing
import sys
import tempfile
from pathlib import Path


def export(folder):
    import keras

    tempfile.tempdir = f"{folder}/temporary"
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.export(f"{folder}/model", verbose=False)


def left(folder):
    return len(list(Path(folder, "temporary").glob("*.py")))


if __name__ == "__main__":
    way, folder = sys.argv[1:]
    Path(folder, "temporary").mkdir(parents=True)
    if way == "itself":
        export(folder)
        print("a process that exports itself:", left(folder), "files while it runs")
    else:
        child = multiprocessing.get_context(way).Process(target=export, args=(folder,))
        child.start()
        child.join()
        if child.exitcode:
            sys.exit(f"the child ended with {child.exitcode}")
PYTHON
for way in itself spawn fork forkserver; do
    quietly python "$work/exporting.py" "$way" "$work/$way"
    number=$(find "$work/$way/temporary" -name '*.py' | wc -l)
    echo "$way: $number files are left after its end"
    [[ $number == $([[ $way == fork* ]] && echo 2 || echo 0) ]] || { echo "changed: another number is left" >&2; exit 1; }
done
