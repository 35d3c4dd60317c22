"""The server stands behind studies, and what its pages start does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dashboards.made_runs import made_run
from open_dashboards import open_dashboard
from small_runs import ROOT

pytest.importorskip("nicegui")

from orchestrator.dashboard.watching import commands
from orchestrator.dashboard.watching.priority import LOW_PRIORITY
from orchestrator.runs.paths import RunFolder

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="priorities of threads are Linux's")
_PRIORITIES = """
import os, subprocess, sys, threading
from orchestrator.dashboard.watching.priority import start, step_back

def own(*found):
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

step_back()
later = []
thread = threading.Thread(target=lambda: later.append(own()))
thread.start()
thread.join()
started = start([sys.executable, "-c", "import os; print(os.nice(0))"], stdout=subprocess.PIPE)
print(own(), *later, int(started.communicate()[0]))
"""


def said(code: str, *, more: int) -> list[int]:
    """Returns the numbers that code prints in a process whose priority is lower by so much."""
    return list(
        map(
            int,
            subprocess.run(
                ["nice", "-n", str(more), sys.executable, "-c", code],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout.split(),
        )
    )


def test_threads_step_back_and_what_they_start_does_not() -> None:
    own = os.nice(0)
    assert said(_PRIORITIES, more=0) == [max(own, LOW_PRIORITY)] * 2 + [own]


def test_who_stands_behind_already_is_not_moved_forward() -> None:
    own = os.nice(0)
    if own > 0:
        pytest.skip("these tests run at a low priority themselves")
    assert said(_PRIORITIES, more=15 - own) == [15, 15, 15]


def test_server_has_stepped_back_once_it_answers(tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "made", num_trials=2, num_epochs=1)
    before = children()
    with open_dashboard([tmp_path / "runs"], log=tmp_path / "log.txt"):
        (server,) = children() - before
        # As a whole, the process has the priority of its first thread, which answers pages.
        assert os.getpriority(os.PRIO_PROCESS, server) == max(os.nice(0), LOW_PRIORITY)


def test_command_of_a_page_goes_by_the_one_that_starts_it_in_front(tmp_path: Path, monkeypatch) -> None:
    started = []
    monkeypatch.setattr(commands, "start", lambda command, **options: started.append(command[2:]))
    commands.begin(RunFolder(tmp_path), ["resume", str(tmp_path)])
    assert started == [["convfleet", "resume", str(tmp_path)]]


def children() -> set[int]:
    """Returns this process's children."""
    return {
        int(child)
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text("ascii").split()
    }
