"""What is done beside the last trials begins when these are the last: soon over, or too few for all workers."""

from types import SimpleNamespace

import pytest

from orchestrator.driver.session import _are_last


def are_last(*, ended, under_way, waiting=0, total=100, slots=2, pace=None):
    left = [SimpleNamespace(started_at=[1.0])] * under_way + [SimpleNamespace(started_at=[])] * waiting
    state = SimpleNamespace(unfinished=left, trials=range(ended + len(left)), num_ended=ended)
    prepared = SimpleNamespace(num_concurrent=slots, spec=SimpleNamespace(num_trials=total))
    return _are_last(SimpleNamespace(state=state), prepared, pace=pace)


@pytest.mark.parametrize(
    ("study", "expected"),
    [
        # Slow trials: when a worker has nothing to do any more.
        ({"ended": 98, "under_way": 2, "pace": 60.0}, False),
        ({"ended": 99, "under_way": 1, "pace": 60.0}, True),
        ({"ended": 98, "under_way": 1, "waiting": 1, "pace": 60.0}, False),
        ({"ended": 98, "under_way": 1, "pace": 60.0}, False),
        # Quick ones: by what is left at their pace.
        ({"ended": 80, "under_way": 2, "pace": 0.05}, True),
        ({"ended": 60, "under_way": 2, "pace": 0.05}, False),
        # None has ended here: nobody knows their pace.
        ({"ended": 0, "under_way": 2, "total": 2}, False),
        ({"ended": 0, "under_way": 1, "total": 1}, True),
    ],
)
def test_the_last_trials_are_known_by_what_is_left_of_them(study, expected):
    assert are_last(**study) is expected
