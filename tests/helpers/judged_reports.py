"""Plays reports to a study's scheduler on a real journal, as Ray Tune passes them, without a Ray."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from orchestrator.early_stopping.deciders import POPULATIONS
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EpochReported, Record, StudyOpened, TrialProposed, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.tuning import successors
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.schedulers import RecordedScheduler, make_scheduler
from search_spaces import space_from_mapping

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
#: (trial, value) of one epoch after another.
Stream = list[tuple[str, float]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    max_epochs: int = 9
    grace_epochs: int = 1
    reduction_factor: float = 3
    min_rivals: int | str = "auto"
    mode: str = "max"
    algorithm: str = "asha"
    promotion: bool = False
    #: Epochs at which some trials end by themselves, out of patience.
    own_ends: Mapping[str, int] = field(default_factory=dict)
    #: Stands for what gives a trial the checkpoint of another one.
    inherit: Callable[..., None] = lambda *_, **__: None
    #: How many trials the study may have; None: as many as it has by default.
    num_trials: int | None = None
    #: By trial, where these are a second objective.
    parameters: Mapping[str, int] = field(default_factory=dict)

    def is_last(self, name: str, *, epoch: int) -> bool:
        return epoch >= min(self.max_epochs, self.own_ends.get(name, self.max_epochs))

    @property
    def metric(self) -> str:
        return "val_accuracy" if self.mode == "max" else "val_loss"

    def spec(self) -> StudySpec:
        return StudySpec.model_validate(
            {
                "name": "s",
                "data": {"source": "digits"},
                "space": space_from_mapping({"family": "sequential", "params": {"dropout": {"float": [0, 0.5]}}}),
                "objective": [{"metric": self.metric}, *([{"metric": "parameters"}] if self.parameters else [])],
                "search": {"trials": self.num_trials},
                "schedule": {
                    "algorithm": self.algorithm,
                    "max_epochs": self.max_epochs,
                    "grace_epochs": self.grace_epochs,
                    "reduction_factor": self.reduction_factor,
                    "min_rivals": self.min_rivals,
                    "promotion": self.promotion,
                },
            }
        )

    def opening(self, names: Sequence[str]) -> list[Record]:
        objectives = [{"metric": self.metric, "mode": self.mode}, {"metric": "parameters", "mode": "min"}]
        opened = StudyOpened(
            schema=2,
            study="s",
            seed=0,
            metric=self.metric,
            mode=self.mode,
            max_epochs=self.max_epochs,
            num_trials=len(names),
            objectives=objectives if self.parameters else [],
            at=0.0,
        )
        # A population's trials need a parameter to change.
        params = {"dropout": 0.25} if self.algorithm in POPULATIONS else {}
        variant = {"family": "sequential", "params": params, "seed": 0}
        return [
            opened,
            *(TrialProposed(trial=name, number=n, variant=variant, at=0.0) for n, name in enumerate(names)),
            *(TrialStarted(trial=name, at=0.0) for name in names),
        ]


@dataclass(kw_only=True)
class Rig:
    """A driver without Ray: a recorder on a real journal, its scheduler, and what Ray Tune would tell them."""

    settings: Settings
    listener: TuneListener
    scheduler: RecordedScheduler

    @property
    def recorder(self) -> Recorder:
        return self.listener.recorder

    def report(self, name: str, value: float, *, epoch: int | None = None) -> str:
        """Returns the decision about a trial's next epoch, told in the order in which Ray Tune tells it."""
        epoch = self.recorder.trial(name).epoch + 1 if epoch is None else epoch
        is_last = self.settings.is_last(name, epoch=epoch)
        metrics = {self.settings.metric: value}
        report = {
            "epoch": epoch,
            "metrics": metrics,
            "train_seconds": 1.0,
            "images_per_second": 1.0,
            "is_last": is_last,
            "cost": {"parameters": self.settings.parameters[name]} if self.settings.parameters and epoch == 1 else {},
        }
        result = {"trial": name, "worker": {}, **metrics, "epoch": epoch, "report": report, "done": is_last}
        if self.listener(f"tune-{name}", result) or is_last:
            self.scheduler.on_trial_complete(None, tune_trial(name), result)
            return STOP
        decision: str = self.scheduler.on_trial_result(None, tune_trial(name), result)
        if decision == STOP:
            self.scheduler.on_trial_complete(None, tune_trial(name), result)
        return decision

    @property
    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        decider: Any = self.scheduler.decider
        return [(rung.milestone, dict(rung.values)) for rung in decider.rungs]


def tune_trial(name: str) -> Any:
    return SimpleNamespace(config={"trial": name}, trial_id=f"tune-{name}", error_file=None)


@contextmanager
def rig(settings: Settings, records: Sequence[Record]) -> Iterator[Rig]:
    """Yields a driver that found these records in its journal."""
    with tempfile.TemporaryDirectory() as folder:
        place = RunFolder(Path(folder))
        with Journal(place.journal) as journal:
            for record in records:
                journal.append(record)
            recorder = Recorder(journal, state=fold(read_journal(place.journal)), folder=place, clock=lambda: 1.0)
            # Nobody trains, so that there are no checkpoints.
            with patch.object(successors, "inherit_checkpoint", settings.inherit):
                scheduler = make_scheduler(settings.spec(), listener := TuneListener(recorder))
                for trial in recorder.state.unfinished:
                    scheduler.on_trial_add(None, tune_trial(trial.name))
                yield Rig(settings=settings, listener=listener, scheduler=scheduler)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Settings, list[str], Stream]:
    """Returns settings, trials and reports in any order; who ended is passed over when the plan is played."""
    max_epochs = draw(st.integers(1, 12))
    names = [f"t{number:04d}" for number in range(draw(st.integers(1, 6)))]
    chosen = Settings(
        max_epochs=max_epochs,
        grace_epochs=draw(st.integers(1, max_epochs)),
        reduction_factor=draw(st.sampled_from([1.2, 1.5, 2, 2.5, 3, 4])),
        min_rivals=draw(st.sampled_from(["auto", 1, 2, 3])),
        mode=draw(st.sampled_from(["max", "min"])),
        own_ends=draw(st.dictionaries(st.sampled_from(names), st.integers(1, 12), max_size=2)),
    )
    values = st.integers(0, 20).map(lambda number: number / 20)
    return chosen, names, draw(st.lists(st.tuples(st.sampled_from(names), values), max_size=40))


def play(driver: Rig, stream: Stream) -> list[tuple[str, int, str]]:
    """Returns (trial, epoch, decision) of every report that a trial could make that neither ended nor waits.

    Before each report all waiting trials go on that may.
    """
    decisions = []
    for name, value in stream:
        # One that takes another's place may not exist yet.
        trial = driver.recorder.state.trials.get(name)
        promotions = driver.scheduler.promotions
        while (promotion := promotions.first()) is not None:
            promotions.promote(promotion)
        if trial is not None and not trial.has_ended and not trial.is_held:
            decision = driver.report(name, value)
            decisions.append((name, trial.epoch, decision))
    return decisions


def demand_undisturbed(chosen: Settings, names: Sequence[str], stream: Stream) -> None:
    """Asserts that a scheduler resumed from any prefix of a journal decides, and records, as the undisturbed one."""
    opening = chosen.opening(names)
    with rig(chosen, opening) as driver:
        decisions, used = [], [0]
        for position, report in enumerate(stream, start=1):
            if told := play(driver, [report]):
                decisions += told
                used.append(position)
        records = list(read_journal(driver.recorder._journal.path))
    for length in range(len(opening), len(records) + 1):
        count = sum(isinstance(record, EpochReported) for record in records[:length])
        with rig(chosen, records[:length]) as resumed:
            assert play(resumed, stream[used[count] :]) == decisions[count:]
            told_again = list(read_journal(resumed.recorder._journal.path))
            assert sorted(map(repr, told_again)) == sorted(map(repr, records))
