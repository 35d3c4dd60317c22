"""Made-up studies of which is known what each parameter does."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from made_studies import Curve, records_of

from orchestrator.journal.records import EpochReported, Record, StudyOpened
from orchestrator.journal.study_state import StudyState, fold

Objective = Callable[[Mapping[str, Any]], float]
NOISE = 0.05


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Returns parameters of every kind: log range, whole numbers, flag, options of mixed kinds, a conditional one."""
    optimizer = str(rng.choice(["adam", "sgd"]))
    params = {
        "learning_rate": float(10 ** rng.uniform(-4, -1)),
        "dropout": float(rng.uniform(0, 0.5)),
        "filters": int(rng.choice([8, 16, 32, 64])),
        "batch_norm": bool(rng.integers(2)),
        "optimizer": optimizer,
        "depth": (1, "1", True, None)[int(rng.integers(4))],
    }
    return {**params, "momentum": float(rng.uniform(0.8, 0.99))} if optimizer == "sgd" else params


def by_learning_rate(params: Mapping[str, Any]) -> float:
    """Returns a value that the learning rate alone decides: 0.9 near 0.01, less away from it."""
    return float(0.9 - 0.1 * (np.log10(params["learning_rate"]) + 2) ** 2)


def curves_of(
    objective: Objective, *, count: int, seed: int = 1, noise: float = NOISE, stopped: float = 0.0, epochs: int = 6
) -> list[Curve]:
    """Returns trials that come halfway nearer to their value with each epoch.

    Args:
        objective: Of the parameters.
        noise: The standard deviation of what a trial's value is beside it.
        stopped: The share of the trials that the scheduler ends after two epochs.
    """
    rng = np.random.default_rng(seed)
    curves = []
    for _ in range(count):
        params = drawn(rng)
        end = objective(params) + noise * float(rng.normal())
        course = [end * (1 - 0.5**epoch) for epoch in range(1, epochs + 1)]
        is_stopped = bool(rng.random() < stopped)
        curves.append(Curve(validation=course[:2] if is_stopped else course, params=params, is_stopped=is_stopped))
    return curves


def made(curves: list[Curve], **header: Any) -> StudyState:
    """Returns the study of these trials."""
    return fold(made_records(curves, **header))


def made_records(curves: list[Curve], **header: Any) -> list[Record]:
    """Returns the records of these trials, of 6 epochs at most."""
    return records_of(curves, **{"max_epochs": 6, **header})


def mirrored(records: list[Record]) -> list[Record]:
    """Returns the same study with the sign of its objective changed, so that the lowest value is best."""
    found: list[Record] = []
    for record in records:
        match record:
            case StudyOpened():
                found.append(replace(record, mode="min"))
            case EpochReported():
                metrics = dict(record.report["metrics"])
                metrics["val_accuracy"] = -metrics["val_accuracy"]
                found.append(replace(record, report={**record.report, "metrics": metrics}))
            case _:
                found.append(record)
    return found
