"""What AutoGraph writes does not outlive the worker that is ended."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from trainables.machine.generated_code import GeneratedCode
from trainables.specs.task import Task

ROOT = Path(__file__).resolve().parents[3]
#: Ends as a worker of Ray does: without Python's own end.
ENDED = """
import os, sys
sys.path.insert(0, {root!r})
import tensorflow as tf
from trainables.machine.generated_code import GeneratedCode

@tf.function
def halved_often(x):
    for _ in tf.range(3):
        x = x / 2
    return x

halved_often(tf.constant(8.0))
if {removes}:
    GeneratedCode().remove()
# Another trace of the same function.
assert float(halved_often(tf.constant([8.0]))[0]) == 1.0
sys.stdout.flush()
os._exit(0)
"""


def files_in(folder):
    """Returns the files in a folder and those below it, bytes of modules among them."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("removes", "number"), [(True, 0), (False, 2)])
def test_a_process_that_is_ended_leaves_no_file_of_autograph(removes, number, tmp_path):
    (tmp_path / "temporary").mkdir()
    code = tmp_path / "ended.py"
    code.write_text(ENDED.format(root=str(ROOT), removes=removes))
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, str(code)], check=True, env=environment)
    left = files_in(tmp_path / "temporary")
    assert len(left) == number, "without the removal TensorFlow leaves its code and Python's bytes of it, or is mended"


def test_modules_that_come_later_are_seen(tmp_path, monkeypatch):
    generated = GeneratedCode()
    generated.remove()
    for number in range(2):
        name = f"__autograph_generated_file{number}"
        module = type(sys)(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        Path(module.__file__).touch()
        monkeypatch.setitem(sys.modules, name, module)
        generated.remove()
        generated.remove()
        assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_removed_is_left(tmp_path, monkeypatch):
    module = type(sys)("__autograph_generated_file_x")
    # As if somebody had made a folder of its name.
    module.__file__ = str(tmp_path)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    GeneratedCode().remove()
    assert tmp_path.is_dir()


def test_a_saved_model_leaves_nothing_beside_itself(tmp_path, monkeypatch):
    import keras
    import tensorflow as tf

    from trainables.exporting.formats import write_saved_model

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    write_saved_model(model, tmp_path / "model", Task.classification(input_shape=(8, 8, 1), num_classes=10))
    assert not files_in(tmp_path / "temporary")
    images = np.zeros((2, 8, 8, 1), np.float32)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert loaded.serve(images).shape == (2, 10)
