"""What a worker process imports as it starts, where that fails."""

import importlib
import sys

NAME = "trainables.worker.preloaded"


def test_an_import_that_fails_ahead_of_the_trials_is_noted_and_left_to_them(monkeypatch, caplog):
    def fail():
        raise ValueError("numpy.dtype size changed")

    monkeypatch.setattr("trainables.machine.imports.import_tensorflow", fail)
    # As if for the first time; what was there before comes back with the test's end.
    monkeypatch.setitem(sys.modules, NAME, None)
    del sys.modules[NAME]
    preloaded = importlib.import_module(NAME)
    assert preloaded.BEGAN <= preloaded.ENDED
    assert "numpy.dtype size changed" in caplog.text
