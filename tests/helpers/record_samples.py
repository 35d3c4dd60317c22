"""A made-up study, as its journal would tell it."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.journal.records import (
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyFinished,
    StudyOpened,
    TrialFailed,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)

START = 1_760_000_000.0
MAX_EPOCHS = 9
FAMILIES = ("sequential", "residual", "transfer")


def opened(**changes: Any) -> StudyOpened:
    fields = {
        "schema": 2,
        "study": "cifar10-small",
        "seed": 7,
        "metric": "val_accuracy",
        "mode": "max",
        "max_epochs": MAX_EPOCHS,
        "num_trials": 14,
        "at": START,
    }
    return StudyOpened(**(fields | changes))


def proposed(number: int, *, at: float, params: dict[str, Any] | None = None) -> TrialProposed:
    family = FAMILIES[number % 3]
    made = {
        "filters": (8, 16, 32)[number * 5 % 3],
        "batch_size": 128,
        "optimizer": ("adam", "sgd")[number % 2],
        "learning_rate": 10 ** (-4 + 3 * ((number * 7) % 11) / 10),
        "activation": ("relu", "elu", "<b>gelu</b>")[number % 3],
    }
    if number % 2:
        made["momentum"] = 0.8 + 0.01 * number
    if family == "sequential":
        made["batch_norm"] = number % 4 < 2
    variant = {"family": family, "params": made if params is None else params, "seed": number}
    return TrialProposed(trial=f"t{number:04d}", number=number, variant=variant, at=at)


def reported(number: int, epoch: int, *, at: float, value: float, **worker: Any) -> EpochReported:
    overhead = {"import": 4.1, "data": 0.6, "build": 0.5, "trace": 3.2} if epoch == 1 else {}
    report = {
        "epoch": epoch,
        "metrics": {"accuracy": value + 0.03, "loss": 1.2 - value, "val_accuracy": value, "val_loss": 1.25 - value},
        "train_seconds": 5.0 + number % 3,
        "images_per_second": 900.0,
        "overhead_seconds": {**overhead, "validate": 0.7, "checkpoint": 0.15},
        "is_last": epoch == MAX_EPOCHS,
    }
    facts = {"node": "node-a", "worker_pid": 4000 + number, "cpus": 1.0, "gpus": 0.0, "gpu_ids": []}
    return EpochReported(trial=f"t{number:04d}", report=report, worker=facts | worker, at=at)


def sweep(**header: Any) -> list[Record]:
    """Returns 14 trials: 0, 3, 6, 9 completed, 5 infeasible, 8 diverged, the others stopped; and one export."""
    records: list[Record] = [opened(**header), SessionStarted(driver_pid=3999, slots=2, at=START)]
    for number in range(14):
        name, at = f"t{number:04d}", START + 30 * number
        records += [proposed(number, at=at), TrialStarted(trial=name, at=at + 1)]
        last = {0: 9, 3: 9, 6: 9, 9: 9, 5: 0, 8: 2}.get(number, 3 if number % 4 else 1)
        ceiling = 0.55 + 0.04 * ((number * 5) % 9)
        for epoch in range(1, last + 1):
            at += 7
            value = ceiling * (1 - 0.6 * 0.6**epoch) - 0.01 * (epoch == 4)
            records.append(reported(number, epoch, at=at, value=round(value, 4)))
        if number == 5:
            reason = "five pooling steps leave no pixel of a 16x16 image"
            records.append(TrialFailed(trial=name, kind="infeasible", reason=reason, at=at + 2))
        elif number == 8:
            reason = "the loss is nan after epoch 3, learning_rate=0.1"
            records.append(TrialFailed(trial=name, kind="diverged", reason=reason, at=at + 3))
        elif last < MAX_EPOCHS:
            reason = f"val_accuracy {value:.3f} is not among the best third at epoch {last}"
            records.append(TrialStopped(trial=name, epoch=last, reason=reason, at=at))
    metrics = {"accuracy": 0.812, "loss": 0.6}
    return [
        *records,
        StudyFinished(at=START + 500),
        ModelExported(trial="t0003", rank=1, folder="exports/1-t0003", test_metrics=metrics, at=START + 505),
    ]


@pytest.fixture
def make_sweep() -> Callable[..., list[Record]]:
    return sweep


@pytest.fixture
def make_opened() -> Callable[..., StudyOpened]:
    return opened


@pytest.fixture
def make_proposed() -> Callable[..., TrialProposed]:
    return proposed


@pytest.fixture
def make_reported() -> Callable[..., EpochReported]:
    return reported


@pytest.fixture
def begin(make_opened, make_proposed):
    """Starts a study of four trials on two slots; trials 0 and 1 are with workers."""

    def records(at=100.0, **header):
        opened = make_opened(**({"num_trials": 4, "at": at} | header))
        starts = [
            record
            for number in (0, 1)
            for record in (make_proposed(number, at=at), TrialStarted(trial=f"t{number:04d}", at=at + 1))
        ]
        return [opened, SessionStarted(driver_pid=1, slots=2, at=at), *starts]

    return records
