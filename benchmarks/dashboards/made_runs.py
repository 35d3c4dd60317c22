"""Runs that nobody trained, for dashboards: whole folders whose journals have made-up curves under real decisions."""

import hashlib
import math
import random
from pathlib import Path
from typing import Any

from orchestrator.early_stopping.decider import Reported, rules_of
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.journal.file import Journal
from orchestrator.journal.records import (
    JOURNAL_SCHEMA,
    EpochReported,
    Record,
    SessionStarted,
    StudyFinished,
    StudyOpened,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.runs.folder import make_run_folder
from orchestrator.runs.paths import RunFolder, trial_name
from orchestrator.search.distributions import EncodedSpace
from orchestrator.study.loading import parse_study
from search_spaces import make_variant
from trainables.reports import EpochReport

NUM_WORKERS = 8
_AT = 1_790_000_000.0


def made_run(
    root: Path, *, num_trials: int, num_epochs: int, schedule: str = "none", is_finished: bool = True
) -> RunFolder:
    """Makes a run folder whose journal has so many trials, each with so many epochs unless the schedule stops it."""
    spec = parse_study(
        _study(root.name, num_trials=num_trials, num_epochs=num_epochs, schedule=schedule), base=root.parent
    )
    folder = make_run_folder(root, study_yaml=spec.to_yaml())
    decider, free = make_decider(rules_of(spec)), [_AT + 1 + worker / 10 for worker in range(NUM_WORKERS)]
    records: list[tuple[float, Record]] = []
    space = EncodedSpace(spec.space)
    for number in range(num_trials):
        worker = min(range(NUM_WORKERS), key=free.__getitem__)
        rng, name, at = random.Random(number), trial_name(number), free[worker]
        variant = make_variant(spec.space, space.random(seed=number), seed=spec.seed)
        records.append((at, TrialProposed(trial=name, number=number, variant=variant.to_json(), at=at)))
        records.append((at, TrialStarted(trial=name, at=at)))
        height, pace = 0.5 + 0.45 * _share(variant.to_json()), 0.3 + rng.random()
        for epoch in range(1, num_epochs + 1):
            seconds = 0.5 + rng.random() / 4
            at += seconds + 0.1
            value = height * (1 - math.exp(-pace * epoch)) + rng.gauss(0, 0.005)
            report = _report(epoch, value=value, seconds=seconds, is_last=epoch == num_epochs)
            facts = {"node": "host", "worker_pid": 1000 + worker, "cpus": 1.0, "gpus": 0.0, "cores": str(worker)}
            records.append((at, EpochReported(trial=name, report=report.to_json(), worker=facts, at=at)))
            reported = Reported(trial=name, number=number, epoch=epoch, value=value)
            if epoch == num_epochs:
                decider.complete(reported)
            elif verdict := decider.judge(reported).reason:
                records.append((at, TrialStopped(trial=name, epoch=epoch, reason=verdict, at=at)))
                decider.complete(reported)
                break
        free[worker] = at
    records.sort(key=lambda item: item[0])
    with Journal(folder.journal) as journal:
        journal.append(_opened(spec))
        journal.append(SessionStarted(driver_pid=1, slots=NUM_WORKERS, at=_AT + 0.5))
        for _, record in records:
            journal.append(record)
        if is_finished:
            journal.append(StudyFinished(at=max(free)))
    return folder


def _study(name: str, *, num_trials: int, num_epochs: int, schedule: str) -> dict[str, Any]:
    params = {
        "num_blocks": {"int": [1, 4]},
        "filters": {"choice": [8, 16, 32]},
        "kernel_size": {"choice": [3, 5]},
        "dropout": {"float": [0, 0.5]},
        "batch_norm": {"choice": [True, False]},
        "optimizer": {"choice": ["adam", "sgd"]},
        "learning_rate": {"float": [1e-4, 1e-1], "log": True},
        "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
        "batch_size": {"choice": [32, 64, 128]},
    }
    return {
        "name": name,
        "data": {"source": "digits"},
        "space": {"family": "sequential", "params": params},
        "search": {"algorithm": "random", "trials": num_trials},
        "schedule": {"algorithm": schedule, "max_epochs": num_epochs, "grace_epochs": 1, "min_rivals": 1},
        "export": {"top": 0},
    }


def _opened(spec: Any) -> StudyOpened:
    return StudyOpened(
        schema=JOURNAL_SCHEMA,
        study=spec.name,
        study_id=spec.study_id,
        seed=spec.seed,
        metric=spec.objective.metric,
        mode=spec.objective.mode,
        max_epochs=spec.schedule.epochs,
        num_trials=spec.num_trials,
        at=_AT,
    )


def _report(epoch: int, *, value: float, seconds: float, is_last: bool) -> EpochReport:
    metrics = {"loss": 1.4 - value, "accuracy": min(1.0, value + 0.02), "val_loss": 1.5 - value, "val_accuracy": value}
    overhead = {"validate": 0.05, "checkpoint": 0.02, "other": 0.03}
    if epoch == 1:
        overhead = {"import": 0.0, "data": 0.01, "build": 0.03, "trace": 0.02, **overhead}
    cost = {"parameters": 12_345.0, "multiply_adds": 1e6, "memory_mb": 12.0} if epoch == 1 else {}
    return EpochReport(
        epoch=epoch,
        metrics=metrics,
        train_seconds=seconds,
        images_per_second=1000 / seconds,
        overhead_seconds=overhead,
        is_last=is_last,
        cost=cost,
    )


def _share(variant: dict[str, Any]) -> float:
    digest = hashlib.sha256(repr(sorted(variant["params"].items())).encode()).digest()
    return digest[0] / 256
