"""Signals find their memory after models of OpenVINO have come and gone in any order."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: Opens two models, lets them go in the order that is given, and says which signal reached Python.
PROGRAM = """
import faulthandler, signal, sys
from pathlib import Path
import numpy as np
from trainables.exporting.runtimes.openvino import MODEL_FILE, OPENVINO, without_telemetry
if sys.argv[2] == "own":
    faulthandler.enable()
openvino = without_telemetry()
from openvino import opset13 as ops
folder = Path(sys.argv[1])
given = ops.parameter([1, 4], np.float32, name="image")
openvino.save_model(openvino.Model([ops.relu(given)], [given], "m"), str(folder / MODEL_FILE), compress_to_fp16=False)
opened = [OPENVINO.open(folder, 1), OPENVINO.open(folder, 1)]
for place in map(int, sys.argv[3]):
    opened[place] = None
signal.signal(signal.SIGINT, lambda number, frame: print("reached", signal.Signals(number).name))
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["", "0", "01", "10"])
@pytest.mark.parametrize("before", ["none", "own"])
def test_a_signal_is_handled_whatever_models_have_gone(tmp_path: Path, order: str, before: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), before, order]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "reached SIGINT\n"), done.stderr
