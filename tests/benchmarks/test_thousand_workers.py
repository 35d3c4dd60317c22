"""The fleet of simulated workers loses and doubles nothing, at whatever pace its driver goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulated_fleet.gauges import Gauges
from simulated_fleet.load import Draws, Load

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_each_report_of_ten_workers_is_recorded_once_though_some_fail_and_some_are_taken_away(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "thousand_workers.py"), "--one", "--workers", "10"]
    command += ["--every", "0.02", "--reports", "300", "--failures", "0.02", "--preemptions", "0.03", "--start", "0.1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "RAY_TMPDIR": "/tmp"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    found = json.loads(done.stdout.splitlines()[-1])
    lost, counts = found["lost"], found["counts"]
    assert counts["failures"] > 0
    assert counts["preemptions"] > 0
    assert counts["starts"] > 10
    # Trials that went on from an older checkpoint report an epoch again.
    assert lost["reported twice"] > 0
    assert lost["recorded"] == lost["reported"] >= 300
    problems = ("lost", "recorded twice", "not in tables", "twice in tables")
    assert [lost[name] for name in problems] == [0, 0, 0, 0]


def test_a_worker_draws_the_same_whatever_the_others_do() -> None:
    load = Load(workers=2, preemptions=0.1, failures=0.1, seed=3)

    def course(worker: int) -> list[tuple[float, str]]:
        draws = Draws(load, worker=worker)
        return [(draws.epoch_seconds(), draws.fate()) for _ in range(50)]

    assert course(1) == course(1) != course(0)
    assert {fate for _, fate in course(1)} == {"report", "failure", "preemption"}


def test_figures_are_of_the_reports_in_the_middle() -> None:
    gauges = Gauges()
    # A report each second, recorded half a second later; the tables are written after every tenth.
    gauges.journal = [(float(at), at + 0.5) for at in range(100)]
    gauges.tables = [(count + 1.0, count) for count in range(10, 101, 10)]
    gauges.samples = [(at + 0.5, 0.1 * at, 1_000_000 * at, at) for at in range(101)]
    gauges.threads = [{"ray-tune": 0.05 * at} for at in range(101)]
    figures = gauges.figures(skip=20)
    assert (figures["reports"], figures["reports a second"]) == (75, 1.0)
    assert figures["cores"] == pytest.approx(0.1)
    assert figures["CPU ms a report"] == pytest.approx(100)
    assert figures["memory MB"] == 95.0
    assert figures["journal lag"] == [0.5, 0.5, 0.5]
    assert figures["table lag"][-1] == 11.0
    assert figures["threads"] == {"ray-tune": pytest.approx(0.05)}
