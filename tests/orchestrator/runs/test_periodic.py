"""Periodic work: a fiftieth of the time, until it is stopped or ends by itself."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runs import periodic
from orchestrator.runs.periodic import Periodic


@pytest.fixture(autouse=True)
def no_first_wait(monkeypatch):
    monkeypatch.setattr(periodic, "_FIRST_WAIT_SECONDS", 0.0)


@given(took=st.floats(0, 1e4), shortest=st.floats(0.1, 10), longest=st.floats(10, 1e3) | st.just(float("inf")))
def test_work_takes_a_fiftieth_of_the_time_unless_the_wait_would_be_too_long(took, shortest, longest):
    work = Periodic(lambda: True, name="work", shortest_seconds=shortest, longest_seconds=longest)
    wait = work.wait_seconds(took_seconds=took)
    assert shortest <= wait <= longest
    assert wait == longest or took <= (took + wait) / 50 * (1 + 1e-9)
    assert wait == shortest or wait <= 49 * took


def test_stop_lets_the_work_under_way_end_and_no_more_begin():
    begun, done = threading.Event(), []

    def work():
        begun.set()
        assert repeated._is_stopping.wait(10)
        done.append("whole")
        return True

    repeated = Periodic(work, name="work", shortest_seconds=0.0)
    repeated.start()
    assert begun.wait(10)
    repeated.stop()
    assert done == ["whole"]
    assert not repeated._thread.is_alive()


def test_work_that_returns_false_is_the_last():
    done = []
    repeated = Periodic(lambda: done.append(1) or len(done) < 3, name="work", shortest_seconds=0.0, longest_seconds=0.0)
    repeated.start()
    repeated._thread.join(10)
    assert len(done) == 3
    repeated.stop()
