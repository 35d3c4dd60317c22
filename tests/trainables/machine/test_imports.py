"""Imports run without collections of garbage, and beside other work."""

import gc
import importlib
import subprocess
import sys
import threading

import pytest

from trainables.machine.imports import imported_meanwhile, quick_imports

COUNT = """
import gc, sys
from trainables.machine.imports import import_tensorflow

seen = []
gc.callbacks.append(lambda phase, info: seen.append(info["generation"]))
import_tensorflow()
assert gc.isenabled()
print(len(seen))
"""


def test_nothing_is_collected_while_tensorflow_is_imported_and_afterwards_as_before():
    result = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    # TensorFlow itself collects once or twice; by the thresholds there would be hundreds of collections.
    assert int(result.stdout.split()[-1]) < 20


def import_without_collector(name):
    assert not gc.isenabled()
    importlib.import_module(name)


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_as_it_was_also_after_an_error(was_on):
    before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        with pytest.raises(ModuleNotFoundError), quick_imports(), quick_imports():
            import_without_collector("no_module_of_this_name")
        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_modules_are_imported_beside_the_block_and_one_that_cannot_be_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "imported_in_a_thread.py").write_text("import threading\nNAME = threading.current_thread().name\n")
    (tmp_path / "broken_on_import.py").write_text("raise RuntimeError('broken')\n")
    with imported_meanwhile("broken_on_import", "no_module_of_this_name", "imported_in_a_thread"):
        pass
    assert sys.modules["imported_in_a_thread"].NAME == "import"
    assert "broken_on_import" not in sys.modules
    assert not [thread for thread in threading.enumerate() if thread.name == "import"]


LEFT_OUT = """
import sys, typing
from trainables.machine.imports import import_tensorflow

import_tensorflow()
assert not {"scipy", "sklearn"} & sys.modules.keys()
assert not hasattr(typing, "compile")

import scipy.ndimage, sklearn.base
"""
#: Another thread asks for them while TensorFlow is imported.
BESIDE = """
import sys, threading
from trainables.machine.imports import import_tensorflow

found = []

def import_both():
    import scipy.stats, sklearn.base

    found.append(scipy.stats.norm.cdf(0.0))

def beside(event, arguments):
    if event == "import" and arguments[0] == "tensorflow" and not threads:
        threads.append(threading.Thread(target=import_both))
        threads[0].start()
        threads[0].join(60)

threads = []
sys.addaudithook(beside)
import_tensorflow()
assert found == [0.5], found
"""


@pytest.mark.parametrize("program", [LEFT_OUT, BESIDE], ids=["afterwards", "in another thread"])
def test_libraries_that_are_left_out_are_there_for_who_asks_for_them(program):
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
