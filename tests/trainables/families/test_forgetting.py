"""Models that nothing holds any more are freed: at once where memory is short, else together with others."""

import weakref

import pytest

from trainables.families import building


class Cycle:
    def __init__(self):
        self.me = self


@pytest.mark.parametrize(
    ("seconds", "at_once", "num_numbers", "is_freed"),
    [
        (0.5, False, 1000, False),
        (1.5, False, 1000, True),
        (0.5, True, 1000, True),
        # A large model is freed before the next one is built.
        (0.5, False, 2_000_000, True),
    ],
)
def test_garbage_is_looked_for_once_a_second_unless_memory_is_needed(
    seconds, at_once, num_numbers, is_freed, monkeypatch
):
    clock = {"now": 1000.0}
    monkeypatch.setattr(building.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(building, "_COLLECTOR", building._Collector())
    building.forget_models(at_once=False)
    building._COLLECTOR.num_numbers = num_numbers
    gone = weakref.ref(Cycle())
    clock["now"] += seconds
    building.forget_models(at_once=at_once)
    assert (gone() is None) == is_freed
