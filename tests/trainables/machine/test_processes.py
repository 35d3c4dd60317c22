"""What the system says of processes, and what stands in for it where it says nothing."""

import os
import time

import pytest

from trainables.machine import processes


def test_age_and_start_of_this_process_agree() -> None:
    ticks = processes.process_started_at(os.getpid())
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert processes.process_age() == pytest.approx(now - ticks / os.sysconf("SC_CLK_TCK"), abs=1.0)
    assert 0 < processes.process_age() < now


def test_process_that_is_not_there_has_no_start() -> None:
    assert processes.process_started_at(2**22 + 1) == 0


def test_age_is_0_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_started_at", lambda process: 0)
    assert processes.process_age() == 0.0


def test_usable_cpus_are_those_of_this_process_not_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 7})
    assert processes.usable_cpus() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert processes.usable_cpus() == 1
