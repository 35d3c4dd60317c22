"""A table of learning curves: variants that a real study trained to their ends, and what each of their epochs brought.

One row a variant in a Parquet file: its JSON, the objective's value and the seconds of each epoch, and how it failed if
it did. The file's metadata has the study that trained them, and when and with what that was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.early_stopping.decider import Rules
from orchestrator.journal.records import JOURNAL_SCHEMA, StudyOpened, TrialFailed
from orchestrator.journal.trial import Trial
from orchestrator.planning.courses import Course
from orchestrator.planning.simulation import Setup
from orchestrator.runs.paths import trial_name
from orchestrator.study.sections import Schedule, Search
from search_spaces import Variant
from trainables.reports import EpochReport, FailureKind

#: Where the tables of the repository lie.
TABLES = Path(__file__).parent / "curves"
_STUDY, _MADE = b"convfleet.study", b"convfleet.made"
#: Digits kept: a validation accuracy of 700 images has no more, and seconds on a shared machine less.
_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One variant's course.

    Attributes:
        variant: What was trained.
        values: The objective's value at each epoch.
        seconds: How long each took with all that came with it.
        failure: The kind of failure after the last one; empty without one.
    """

    variant: Variant
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class CurveTable:
    """All curves of one study.

    Attributes:
        study: The study's file as a mapping.
        made: When, with what, and how long.
        curves: One a variant, in the order of proposals.
    """

    study: Mapping[str, Any]
    made: Mapping[str, Any]
    curves: Sequence[Curve]

    @property
    def num_epochs(self) -> int:
        """The epochs of a variant that did not fail."""
        return int(self.study["schedule"]["max_epochs"])

    @cached_property
    def best(self) -> float:
        """The best value that a variant has at its last epoch."""
        return max(final_value(curve) for curve in self.curves)

    @cached_property
    def mean_seconds(self) -> float:
        """What training one variant to its end takes, on average."""
        return float(np.mean([sum(curve.seconds) for curve in self.curves]))

    def course(self, row: int, *, number: int) -> Course:
        """Returns the course of a row's variant as the simulated study's trial of a number."""
        curve = self.curves[row]
        reports = [
            EpochReport(
                epoch=epoch,
                metrics={METRIC: value},
                train_seconds=curve.seconds[epoch - 1],
                images_per_second=0.0,
                is_last=epoch == self.num_epochs,
            )
            for epoch, value in enumerate(curve.values, start=1)
        ]
        name = trial_name(number)
        trial = Trial(name=name, number=number, variant=curve.variant, proposed_at=0.0, reports=reports)
        if curve.failure:
            trial.failure = TrialFailed(trial=name, kind=curve.failure, reason="as in the table", at=0.0)
        return Course(trial=trial, seconds=curve.seconds, failure=trial.failure)

    def setup(
        self, *, rule: Mapping[str, Any], seed: int, slots: int, trainings: float, is_auto: bool = False
    ) -> Setup:
        """Returns the rules of a simulated study that may hold its slots for so many whole trainings together.

        Args:
            rule: The keys of a schedule that name it.
            seed: The study's.
            slots: How many trials run at the same time.
            trainings: Its budget, in trainings of the mean variant to its end, over all slots.
            is_auto: Whether grace and rivals are those of `auto` where an epoch has few steps: a third of all epochs,
                and as many as the factor; else one epoch, and the rule's own rivals.
        """
        numbers = {"grace_epochs": max(1, self.num_epochs // 3), "min_rivals": 3} if is_auto else {"grace_epochs": 1}
        schedule = Schedule.model_validate({"max_epochs": self.num_epochs, **numbers, **rule})
        header = StudyOpened(
            schema=JOURNAL_SCHEMA,
            study="curves",
            seed=seed,
            metric=METRIC,
            mode="max",
            max_epochs=self.num_epochs,
            num_trials=len(self.curves),
            at=0.0,
        )
        return Setup(
            header=header,
            rules=Rules(schedule=schedule, metric=METRIC, mode="max", seed=seed),
            search=Search(minutes=trainings * self.mean_seconds / slots / 60),
            num_trials=len(self.curves),
            slots=slots,
        )


METRIC = "val_accuracy"


def final_value(curve: Curve) -> float:
    """Returns the value at the last epoch; a failed variant has the worst one."""
    return 0.0 if curve.failure else curve.values[-1]


def curves_of(trials: Sequence[Trial], *, num_epochs: int) -> list[Curve]:
    """Returns the curves of the trials that trained to their ends or failed by their own fault, in their order."""
    kept = (FailureKind.DIVERGED, FailureKind.INFEASIBLE)
    return [
        Curve(
            variant=trial.variant,
            values=tuple(round(report.metrics[METRIC], _DIGITS) for report in trial.reports),
            seconds=tuple(
                round(report.train_seconds + sum(report.overhead_seconds.values()), _DIGITS) for report in trial.reports
            ),
            failure=trial.failure.kind if trial.failure else "",
        )
        for trial in sorted(trials, key=lambda item: item.number)
        if (trial.failure is None and trial.epoch == num_epochs) or (trial.failure and trial.failure.kind in kept)
    ]


def write_table(table: CurveTable, path: Path) -> None:
    """Writes a table to a Parquet file."""
    columns = {
        "variant": pa.array([json.dumps(curve.variant.to_json(), sort_keys=True) for curve in table.curves]),
        "values": pa.array([curve.values for curve in table.curves], pa.list_(pa.float32())),
        "seconds": pa.array([curve.seconds for curve in table.curves], pa.list_(pa.float32())),
        "failure": pa.array([curve.failure for curve in table.curves]),
    }
    metadata = {_STUDY: json.dumps(table.study), _MADE: json.dumps(table.made)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, compression="zstd")


def read_table(name: str) -> CurveTable:
    """Returns a table of the repository by its name."""
    found = pq.read_table(TABLES / f"{name}.parquet")
    curves = [
        Curve(
            variant=Variant.from_json(json.loads(row["variant"])),
            values=tuple(round(value, _DIGITS) for value in row["values"]),
            seconds=tuple(round(value, _DIGITS) for value in row["seconds"]),
            failure=row["failure"],
        )
        for row in found.to_pylist()
    ]
    metadata = found.schema.metadata
    return CurveTable(study=json.loads(metadata[_STUDY]), made=json.loads(metadata[_MADE]), curves=curves)
