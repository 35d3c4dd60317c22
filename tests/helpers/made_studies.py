"""Studies whose trials' curves are made up, as their journals would tell them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyOpened,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.references import Reference

SHARES = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 1000, "test": 1000})
#: Ten classes alike.
MAJORITY = Reference(name="majority class", is_blind=True, metrics={"val_accuracy": 0.1})


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A trial: its values of accuracy by epoch, and its parameters.

    Attributes:
        is_stopped: Whether the scheduler ended it; else it completes with its last value.
        cost: What its variant costs.
    """

    validation: Sequence[float]
    training: Sequence[float] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    is_stopped: bool = False
    cost: Mapping[str, float] = field(default_factory=dict)


def records_of(curves: Sequence[Curve], *, name: str = "accuracy", **header: Any) -> list[Record]:
    """Returns the records of a study that has trained these trials, one after the other."""
    fields = {
        "schema": 2,
        "study": "made",
        "seed": 7,
        "metric": f"val_{name}",
        "mode": "max",
        "max_epochs": max((len(curve.validation) for curve in curves), default=1),
        "num_trials": max(1, len(curves)),
        "at": 0.0,
    }
    records: list[Record] = [
        StudyOpened(**(fields | header)),
        SessionStarted(driver_pid=1, slots=1, at=1.0),
    ]
    for number, curve in enumerate(curves):
        trial, at = f"t{number:04d}", 10.0 * (number + 1)
        variant = {"family": "sequential", "params": {"number": number, **curve.params}, "seed": number}
        records += [TrialProposed(trial=trial, number=number, variant=variant, at=at), TrialStarted(trial=trial, at=at)]
        training = curve.training or curve.validation
        for epoch, (train, value) in enumerate(zip(training, curve.validation, strict=True), start=1):
            metrics = {name: train, "loss": 1.0, f"val_{name}": value, "val_loss": 1.0}
            report = {
                "epoch": epoch,
                "metrics": metrics,
                "train_seconds": 1.0,
                "images_per_second": 1.0,
                "overhead_seconds": {},
                "is_last": epoch == len(curve.validation) and not curve.is_stopped,
                "cost": dict(curve.cost) if epoch == 1 else {},
            }
            records.append(EpochReported(trial=trial, report=report, worker={}, at=at + epoch / 1000))
        if curve.is_stopped:
            records.append(TrialStopped(trial=trial, epoch=len(curve.validation), reason="asha", at=at + 9))
    return records


def study_of(curves: Sequence[Curve], **header: Any) -> StudyState:
    """Returns the state of a study that has trained these trials."""
    return fold(records_of(curves, **header))
