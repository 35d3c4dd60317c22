"""Ray is left in the thread that started it, while the report is written, and by the end of the preparation at last."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from orchestrator.driver.preparation import _left_at_last
from orchestrator.runs.wall_clock import RAY_END, WallClock


class Left:
    """What is left of Ray: notes in which thread it was ended, and may fail there."""

    def __init__(self, error=None):
        self.threads, self.error = [], error

    def end(self):
        self.threads.append(threading.current_thread().name)
        if self.error is not None:
            raise self.error


def leave(left, *, body, is_begun):
    """Does what `prepare` does around a session, and returns the clock."""
    clock = WallClock()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ray") as pool, ExitStack() as stack:
        stack.callback(left.end)
        with _left_at_last(stack, pool, clock) as begin:
            if is_begun:
                begin()
            body()
    return clock


def fail():
    raise OSError("the report")


@pytest.mark.parametrize("is_begun", [True, False])
def test_ray_is_left_once_and_its_end_is_timed(is_begun):
    left = Left()
    clock = leave(left, body=lambda: None, is_begun=is_begun)
    assert len(left.threads) == 1
    assert left.threads[0].startswith("ray") == is_begun
    assert [span.name for span in clock.spans] == [RAY_END]


@pytest.mark.parametrize("is_begun", [True, False])
def test_where_the_report_fails_ray_is_left_all_the_same(is_begun):
    left = Left()
    with pytest.raises(OSError, match="the report"):
        leave(left, body=fail, is_begun=is_begun)
    assert len(left.threads) == 1


@pytest.mark.parametrize("is_begun", [True, False])
def test_an_error_of_leaving_is_raised(is_begun):
    left = Left(error=RuntimeError("of Ray"))
    with pytest.raises(RuntimeError, match="of Ray"):
        leave(left, body=lambda: None, is_begun=is_begun)
    assert len(left.threads) == 1


def test_of_two_errors_that_of_the_report_is_raised():
    with pytest.raises(OSError, match="the report"):
        leave(Left(error=RuntimeError("of Ray")), body=fail, is_begun=True)
