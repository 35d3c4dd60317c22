"""Runs one study with a simulated fleet in this process, and says what its driver did and whether a report was lost."""

import argparse
import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import driver_scale
import ray

from simulated_fleet.gauges import Gauges, profiled
from simulated_fleet.handles import simulated_workers
from simulated_fleet.load import Load

#: Of a trial that nothing stops.
MAX_EPOCHS = 81


def run(load: Load, *, reports: int, asked: Mapping[str, Any], is_profiled: bool = False) -> dict[str, Any]:
    """Runs a study until its trials have reported so often, and returns what its driver did.

    Args:
        load: The fleet's.
        reports: How many reports the study is allowed (`search.epochs`); those under way still come.
        asked: The study's `schedule`, its `search`, and after how many epochs it judges first, `grace`.
        is_profiled: Whether to print where the time of Ray Tune's thread goes.
    """
    folder, gauges = Path(tempfile.mkdtemp(prefix="convfleet-fleet-")), Gauges()
    with own_ray(load.workers, folder=folder), simulated_workers(load) as workers, gauges.attached():
        spec = _study(folder, load, reports=reports, asked=asked)
        root = _study_run(spec, folder, is_profiled=is_profiled)
        told, counts = ray.get(workers.hub.told.remote())
    figures = gauges.figures(skip=min(2 * load.workers, reports // 4))
    return {"load": load.in_words(), **figures, "counts": counts, "lost": check(root, told=told)}


def check(root: Path, *, told: dict[tuple[str, int], int]) -> dict[str, int]:
    """Returns how many reports the journal and the tables have, and how many of the workers' they lack or repeat.

    Args:
        root: The run folder.
        told: How often workers reported each (trial, epoch).
    """
    from orchestrator.journal.file import read_journal
    from orchestrator.journal.records import EpochReported
    from orchestrator.results.tables import read_tables
    from orchestrator.runs.folder import open_run_folder

    run_folder = open_run_folder(root)
    in_journal = Counter(
        (record.trial, record.report["epoch"])
        for record in read_journal(run_folder.journal)
        if isinstance(record, EpochReported)
    )
    _, epochs = read_tables(run_folder)
    in_tables = Counter(zip(epochs["trial"].to_pylist(), epochs["epoch"].to_pylist(), strict=True))
    return {
        "reported": len(told),
        "reported twice": sum(count - 1 for count in told.values()),
        "recorded": len(in_journal),
        "lost": len(told.keys() - in_journal.keys()),
        "recorded twice": sum(count - 1 for count in in_journal.values()),
        "not in tables": len(in_journal.keys() - in_tables.keys()),
        "twice in tables": sum(count - 1 for count in in_tables.values()),
    }


@contextlib.contextmanager
def own_ray(workers: int, *, folder: Path) -> Any:
    """A Ray of this machine that counts a CPU for each worker and starts no process ahead."""
    from orchestrator.cluster.connection import _ENVIRONMENT
    from orchestrator.cluster.ray_internals import spare_processes_off

    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([here, str(Path(here).parent), os.environ.get("PYTHONPATH", "")])
    with spare_processes_off():
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=256 * 1024 * 1024,
            _node_ip_address="127.0.0.1",
            # Workers of a real fleet take nothing of the driver's machine, so theirs waits for nobody.
            _system_config={"prestart_worker_first_driver": False, "worker_niceness": 0},
        )
    try:
        yield
    finally:
        ray.shutdown()


def _study_run(spec: Any, folder: Path, *, is_profiled: bool) -> Path:
    """Runs the study and returns its run folder."""
    from rich.console import Console

    from orchestrator import run_study
    from orchestrator.tuning import experiment
    from orchestrator.views.terminal.progress import make_progress

    kind = trainable()

    class Simulated(experiment.Tuning):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, trainable=kind, **named)

        def _fit(self) -> None:
            profiled(super()._fit) if is_profiled else super()._fit()

    with (
        (folder / "progress.txt").open("w") as lines,
        make_progress(Console(file=lines, width=150)) as progress,
        mock.patch.object(experiment, "Tuning", Simulated),
    ):
        result = run_study(spec, runs=folder / "runs", progress=progress)
    return result.folder.root


def _study(folder: Path, load: Load, *, reports: int, asked: Mapping[str, Any]) -> Any:
    options = argparse.Namespace(trials=[load.workers + reports], epochs=MAX_EPOCHS, **asked)
    spec = driver_scale.study(options, folder=folder)
    return spec.model_copy(
        update={
            "search": spec.search.model_copy(update={"epochs": reports}),
            "schedule": spec.schedule.model_copy(update={"grace_epochs": asked["grace"]}),
            "resources": spec.resources.model_copy(
                update={"cpus": load.workers, "cpus_per_trial": 1, "retries": 5, "pin_cpus": False}
            ),
        }
    )


def trainable() -> type:
    """Returns a trainable that trains nothing, and fails where it is made to."""
    base = driver_scale.no_op()

    class Failing(base):
        failure = None

        def step(self) -> dict[str, Any]:
            result = super().step()
            if self.failure is None:
                return result
            told = {key: result[key] for key in ("trial", "worker", "notes")}
            told |= {"failure": self.failure, "done": True}
            self.failure = None
            return told

    return Failing
