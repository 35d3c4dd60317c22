"""Studies that are played without training: search spaces, and trials that end in every way."""

import math
from collections.abc import Callable

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.study.spec import StudySpec
from search_spaces import SearchSpace, Variant
from trainables.reports import EpochReport

MAX_EPOCHS = 3
MIXED = {
    "family": {"choice": ["sequential", "residual"]},
    "params": {
        "num_blocks": {"int": [1, 3], "when": {"family": "sequential"}},
        "num_stages": {"choice": [1, 2], "when": {"family": "residual"}},
        "filters": {"int": [8, 32], "step": 8},
        "optimizer": {"choice": ["adam", "sgd"]},
        "learning_rate": {"float": [1e-4, 1e-1], "log": True},
        "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
        "dropout": {"float": [0, 0.5], "step": 0.1},
        "batch_size": {"int": [16, 256], "log": True},
        "stride": 1,
    },
}
COUNTABLE = {
    "family": {"choice": ["sequential", "residual"]},
    "params": {
        "num_blocks": {"int": [1, 3], "when": {"family": "sequential"}},
        "dropout": {"float": [0, 0.3], "step": 0.1},
        "filters": {"choice": [8, 16]},
    },
}


def spec_of(space: SearchSpace, *, algorithm: str, seed: int = 7, mode: str = "max") -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": seed,
            "data": {"source": "digits"},
            "space": space,
            "objective": {"metric": "val_accuracy" if mode == "max" else "val_loss"},
            "search": {"algorithm": algorithm},
            "schedule": {"max_epochs": MAX_EPOCHS},
        }
    )


def play(number: int, variant: Variant, *, value: Callable[[Variant], float], metric: str = "val_accuracy") -> Trial:
    """Returns a trial that ended: one in three stopped early, one in seven failed, the others completed."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    num_epochs = 1 if number % 3 == 1 else number % 2 if number % 7 == 4 else MAX_EPOCHS
    for epoch in range(1, num_epochs + 1):
        metrics = {metric: value(variant) * (1 - 0.5**epoch)}
        is_last = epoch == MAX_EPOCHS
        report = EpochReport(epoch=epoch, metrics=metrics, train_seconds=1.0, images_per_second=1.0, is_last=is_last)
        trial.reports.append(report)
        trial.reported_at.append(1.0)
    if num_epochs < MAX_EPOCHS and number % 7 == 4:
        trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="nan", at=2.0)
    elif num_epochs < MAX_EPOCHS:
        trial.stop = TrialStopped(trial=trial.name, epoch=num_epochs, reason="weak", at=2.0)
    assert trial.has_ended
    return trial


def score(variant: Variant) -> float:
    numbers = [float(value) for value in variant.params.values() if isinstance(value, int | float)]
    return math.cos(sum(numbers)) / (1 + len(variant.params))
