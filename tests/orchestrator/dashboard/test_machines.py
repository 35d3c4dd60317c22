"""What machines are at: this one's load and GPUs, and what the journal knows of others."""

import os
from pathlib import Path
from typing import Any

import pytest
from dashboards.made_runs import made_run
from open_dashboards import Pages, open_dashboard
from real_browser import real_browser

pytest.importorskip("nicegui")

from orchestrator.dashboard.answers.node_rows import NodeRow, node_in_words, node_rows, training_now
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.machine import GpuWatch, gpus_in_words
from orchestrator.journal.file import Journal
from orchestrator.journal.records import EpochReported, TrialProposed, TrialStarted
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder, trial_name
from trainables.machine.gpus import GpuUse
from trainables.reports import EpochReport

USE = GpuUse(index=0, name="NVIDIA H200", busy_percent=87, used_mib=20_480, total_mib=143_771)
#: Node, process, memory and images a second of each trial that trains; nothing: its worker has not reported.
WORKERS: tuple[tuple[Any, ...] | None, ...] = (
    ("far", 11, 700.0, 100.5),
    ("far", 12, 900.0, 200.0),
    ("near", 11, None, 50.0),
    None,
)


def add_running(folder: RunFolder, workers: tuple[tuple[Any, ...] | None, ...]) -> None:
    """Adds trials that train to a run's journal."""
    run = FollowedRun("run", folder)
    run.poll()
    known = run.state.trials["t0000"].variant.to_json()
    with Journal(folder.journal) as journal:
        for number, worker in enumerate(workers, start=len(run.state.trials)):
            name, at = trial_name(number), 1_790_010_000.0 + number
            variant = {**known, "seed": 100 + number}
            journal.append(TrialProposed(trial=name, number=number, variant=variant, at=at))
            journal.append(TrialStarted(trial=name, at=at))
            if worker is not None:
                node, pid, memory, speed = worker
                report = EpochReport(epoch=1, metrics={"val_accuracy": 0.5}, train_seconds=1.0, images_per_second=speed)
                facts = {"node": node, "worker_pid": pid, "cpus": 2.0, "gpus": 0.5, "gpu_ids": ["0"]}
                facts |= {} if memory is None else {"memory_mb": memory}
                journal.append(EpochReported(trial=name, report=report.to_json(), worker=facts, at=at))


def test_nodes_have_the_sums_of_their_workers_last_reports(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "live", num_trials=3, num_epochs=2, is_finished=False)
    add_running(folder, WORKERS)
    run = FollowedRun("live", folder)
    run.poll()
    assert training_now(run) == []
    run.is_alive = True
    rows = node_rows(training_now(run))
    assert rows == [
        NodeRow(node="", num_workers=1, cpus=0.0, gpus=0.0, memory_mb=None, images_per_second=0.0),
        NodeRow(node="far", num_workers=2, cpus=4.0, gpus=1.0, memory_mb=1600.0, images_per_second=300.5),
        NodeRow(node="near", num_workers=1, cpus=2.0, gpus=0.5, memory_mb=None, images_per_second=50.0),
    ]
    assert [node_in_words(row) for row in rows] == [
        "1 worker",
        "2 workers with 4 CPUs and 1 GPUs, 1.6 GB of memory, 300 images/s",
        "1 worker with 2 CPUs and 0.5 GPUs, 50 images/s",
    ]


def test_gpus_are_asked_for_a_tenth_of_the_time_at_most_and_rarely_where_there_is_none() -> None:
    now, answers, asked = [0.0], iter([[USE], [USE], None, [USE]]), list[float]()

    def ask() -> list[GpuUse] | None:
        asked.append(now[0])
        now[0] += 1.0
        return next(answers)

    watch = GpuWatch(ask=ask, clock=lambda: now[0])
    for _ in range(80):
        watch.now()
        now[0] += 1.0
    assert asked == [0.0, 10.0, 20.0, 81.0]
    assert gpus_in_words(watch.now()) == {"GPU 0, NVIDIA H200": "87 % busy, 21.5 of 150.8 GB of memory in use"}


def test_fleet_page_shows_gpus_and_nodes_while_a_driver_is_at_work(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "runs" / "live", num_trials=3, num_epochs=2, is_finished=False)
    add_running(folder, WORKERS)
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '0, 87, 20480, 143771, NVIDIA H200'\n")
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    with (
        driver_lock(folder),
        open_dashboard([tmp_path / "runs"], log=tmp_path / "log.txt", environment=environment) as address,
        real_browser(tmp_path / "profile") as browser,
    ):
        pages = Pages(browser, address)
        pages.open("/run/live/fleet", shows="GPU 0, NVIDIA H200")
        pages.see("87 % busy, 21.5 of 150.8 GB of memory in use")
        pages.see("memory free")
        pages.see("node far")
        pages.see("2 workers with 4 CPUs and 1 GPUs, 1.6 GB of memory, 300 images/s")
        pages.see("a worker that starts")
        program.write_text("#!/bin/sh\necho '0, 13, 20480, 143771, NVIDIA H200'\n")
        pages.see("13 % busy")
        add_running(folder, (("third", 5, 100.0, 10.0),))
        pages.see("node third")
        assert pages.faults() == []
