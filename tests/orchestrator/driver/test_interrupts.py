"""One signal is one interrupt, and another thread's error is raised in the main thread."""

import os
import signal
import threading
import time

import pytest

from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.errors import ClusterLostError


def wait_to_be_interrupted():
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(0.01)


def test_error_of_another_thread_ends_what_the_main_thread_does():
    with OneInterrupt() as interrupt:
        threading.Timer(0.1, interrupt.end_with, args=[ClusterLostError("the head is gone")]).start()
        with pytest.raises(ClusterLostError, match="the head is gone"):
            wait_to_be_interrupted()


def test_error_of_another_thread_is_no_signal_of_the_users():
    with OneInterrupt() as interrupt:
        threading.Timer(0.1, interrupt.end_with, args=[ClusterLostError("the head is gone")]).start()
        with pytest.raises(ClusterLostError):
            wait_to_be_interrupted()
        threading.Timer(0.1, os.kill, args=[os.getpid(), signal.SIGTERM]).start()
        with pytest.raises(KeyboardInterrupt):
            wait_to_be_interrupted()


def test_where_no_signals_arrive_nothing_is_raised():
    OneInterrupt().end_with(ClusterLostError("the head is gone"))
