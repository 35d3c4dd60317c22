"""A job that is followed: each line once through connections that break, and an interruption that is asked about."""

import io
import os
import pty
import signal
import sys
import threading
from types import SimpleNamespace

import pytest
import typer

from orchestrator.cli.cluster import asking
from orchestrator.cluster.jobs import following
from orchestrator.cluster.jobs.following import Followed, followed_to_the_end

LINES = [f"line {number}\n" for number in range(20)]


class Cluster:
    """A cluster with one job, whose connections break after some lines; it ends when it is told to, or stopped."""

    def __init__(self, *, breaks_after=(), ends=True):
        self.status, self.stopped = "RUNNING", []
        self._breaks = list(breaks_after)
        self._ends = ends
        self.over = threading.Event()

    async def tail_job_logs(self, name):
        count = self._breaks.pop(0) if self._breaks else None
        for line in LINES[:count]:
            yield line
        if count is not None:
            raise RuntimeError("the connection broke")
        if not self._ends:
            self.over.wait()
        self.status = "STOPPED" if self.stopped else "SUCCEEDED"

    def get_job_info(self, name):
        code = 0 if self.status == "SUCCEEDED" else None
        return SimpleNamespace(
            submission_id=name,
            status=self.status,
            driver_exit_code=code,
            metadata={"convfleet": "study", "study": "sent", "run": "/r/sent"},
            entrypoint="convfleet run sent.yaml",
            message="",
            start_time=1000,
            end_time=2000,
        )

    def get_job_logs(self, name):
        return "".join(LINES)

    def stop_job(self, name):
        self.stopped.append(name)
        self.over.set()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.01)


@pytest.mark.parametrize("breaks", [(), (3,), (0, 5, 5, 19, 20), (20,)])
def test_every_line_is_written_once_however_often_the_connection_breaks(breaks):
    written = []
    followed = Followed(Cluster(breaks_after=breaks), "sent-1", address="x")
    assert followed_to_the_end(followed, write=written.append, on_interrupt=lambda: False)
    assert "".join(written) == "".join(LINES)
    assert followed.job().code == 0


def interrupted(monkeypatch, cluster, *, answer):
    """Follows a job in a terminal, in which Ctrl-C is pressed after some lines and answered."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal, os.fdopen(ours, "w") as keys:
        monkeypatch.setattr(sys, "stdin", terminal)
        shown = io.StringIO()
        monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stderr", shown)
        printed = SimpleNamespace(lines=[], flush=lambda: None)

        def write(text):
            printed.lines.append(text)
            if text == LINES[4]:
                keys.write(f"{answer}\n")
                keys.flush()
                signal.raise_signal(signal.SIGINT)

        printed.write = write
        monkeypatch.setattr(sys, "stdout", printed)
        with pytest.raises(typer.Exit) as ended:
            asking.follow_job(cluster, "sent-1", address="x", seen_at="x", as_json=False)
        return ended.value.exit_code, shown.getvalue(), "".join(printed.lines)


def test_interruption_that_pauses_stops_the_job_and_watches_it_to_its_end(monkeypatch):
    cluster = Cluster(ends=False)
    code, shown, printed = interrupted(monkeypatch, cluster, answer="p")
    assert (code, cluster.stopped) == (130, ["sent-1"])
    assert "d: leave it alone, p: pause its study, w: watch on" in shown
    assert "was stopped, and its study pauses then" in shown
    assert printed == "".join(LINES)


def test_interruption_that_leaves_the_job_alone_says_how_to_come_back(monkeypatch):
    cluster = Cluster(ends=False)
    code, shown, _ = interrupted(monkeypatch, cluster, answer="")
    assert (code, cluster.stopped) == (130, [])
    assert "convfleet jobs logs ADDRESS sent-1 --follow shows it again" in shown
    assert "convfleet jobs stop ADDRESS sent-1 pauses its study; ADDRESS is x" in shown
    cluster.over.set()


def test_interruption_that_watches_on_loses_nothing(monkeypatch):
    code, _, printed = interrupted(monkeypatch, Cluster(), answer="w")
    assert (code, printed) == (0, "".join(LINES))
