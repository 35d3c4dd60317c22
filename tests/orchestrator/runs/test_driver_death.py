"""A driver that dies at any record of its journal and is resumed ends with the facts of one that was never disturbed.

Ray Tune's part is played here step by step, in the order of its controller: the searcher hands out a trial, a worker
takes it up, the stopper, the scheduler and the searcher are asked about each result, and told when the trial is over.
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EpochReported, Record, SessionStarted, StudyExtended, StudyOpened
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState
from orchestrator.runs.paths import RunFolder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.proposals.new_trials import look_ahead_of
from orchestrator.tuning.schedulers import make_scheduler
from orchestrator.tuning.searcher import VariantSearcher
from search_spaces import Variant, space_from_mapping

NUM_SLOTS = 2
RETRIES = 1
SPACE = {
    "family": "sequential",
    "params": {"num_blocks": {"int": [1, 4]}, "filters": {"choice": [4, 8, 16, 32]}, "dropout": {"float": [0, 0.5]}},
}
GRID = {"family": "sequential", "params": {"num_blocks": {"int": [1, 3]}, "filters": {"choice": [4, 8, 16]}}}


def make_spec(*, search: str = "random", schedule: str = "none", trials: int = 6, max_epochs: int = 4) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 7,
            "data": {"source": "digits"},
            "space": space_from_mapping(GRID if search == "grid" else SPACE),
            "search": {"algorithm": search, "trials": trials},
            "schedule": {"algorithm": schedule, "max_epochs": max_epochs, "grace_epochs": 1, "reduction_factor": 2},
            "resources": {"retries": RETRIES},
        }
    )


class Killed(BaseException):
    """SIGKILL, as seen from inside."""


@dataclass(kw_only=True)
class World:
    """What workers would report: values, failures, deaths and patience, each a function of the variant and the seed.

    Attributes:
        deaths: (trial, epoch) at which a worker died already, where it dies only once.
    """

    seed: int
    max_epochs: int
    deaths: set[tuple[str, int]] = field(default_factory=set)

    def outcome(self, name: str, variant: Variant, epoch: int) -> dict[str, Any] | None:
        """Returns a worker's result for an epoch; None if it dies over it."""
        draw = random.Random(f"{self.seed} {variant.variant_id}")
        kind = draw.choice(["well", "well", "well", "patience", "diverged", "infeasible", "dies", "always dies"])
        at = draw.randint(1, self.max_epochs)
        told = {"trial": name, "worker": {"node": "n"}}
        if kind == "infeasible" or (kind == "diverged" and epoch == at):
            return told | {"done": True, "failure": {"kind": kind, "reason": f"at {epoch}", "details": ""}}
        if kind == "always dies" and epoch == at:
            return None
        if kind == "dies" and epoch == at and (name, epoch) not in self.deaths:
            self.deaths.add((name, epoch))
            return None
        metrics = {"val_accuracy": random.Random(f"{self.seed} {variant.variant_id} {epoch}").random()}
        is_patient = kind == "patience" and epoch == at < self.max_epochs
        report = {
            "epoch": epoch,
            "metrics": metrics,
            "train_seconds": 1.0,
            "images_per_second": 1.0,
            "is_last": is_patient or epoch == self.max_epochs,
            "reason": "patience: enough" if is_patient else "",
        }
        return told | {**metrics, "epoch": epoch, "report": report, "done": report["is_last"]}


@dataclass(kw_only=True)
class Running:
    """A trial with a worker, as Ray Tune holds it."""

    trial_id: str
    config: dict[str, Any]
    epoch: int
    num_failures: int = 0
    error_file: str | None = None


class Driver:
    """A driver on a journal, with Ray Tune's part played here."""

    def __init__(self, spec: StudySpec, *, world: World, recorder: Recorder) -> None:
        recorder.append(SessionStarted(driver_pid=1, slots=NUM_SLOTS, at=0.0))
        self.world, self.recorder = world, recorder
        self.listener = TuneListener(recorder)
        self.scheduler = make_scheduler(spec, self.listener)
        proposer = Proposer(spec)
        proposer.remember(recorder.state.trials.values())
        self.searcher = VariantSearcher(
            proposer,
            listener=self.listener,
            num_trials=spec.num_trials,
            look_ahead=look_ahead_of(spec, learns=proposer.learns),
        )
        self.running: list[Running] = []
        self.num_asked = 0

    def run(self) -> None:
        """Works until every trial has ended."""
        while self._fill() or self.running:
            # Who reports next follows from what was reported, so it is the same whoever asks.
            names = sorted(trial.config["trial"] for trial in self.running)
            turn = random.Random(f"{self.world.seed} {self.recorder.state.report_order}").choice(names)
            trial = next(trial for trial in self.running if trial.config["trial"] == turn)
            variant = Variant.from_json(trial.config["variant"])
            result = self.world.outcome(turn, variant, trial.epoch)
            if result is None:
                self._lose(trial)
            else:
                self._process(trial, result)

    def _fill(self) -> bool:
        while len(self.running) < NUM_SLOTS:
            trial_id = f"tune-{self.num_asked}"
            config = self.searcher.suggest(trial_id)
            if config == Searcher.FINISHED:
                return False
            assert isinstance(config, dict)
            self.num_asked += 1
            trial = Running(trial_id=trial_id, config=config, epoch=config["first_epoch"])
            self.scheduler.on_trial_add(None, trial)
            self.listener.on_trial_start(0, [], trial)
            self.running.append(trial)
        return True

    def _process(self, trial: Running, result: dict[str, Any]) -> None:
        self.listener(trial.trial_id, result)
        decision = TrialScheduler.STOP
        if not result["done"]:
            decision = self.scheduler.on_trial_result(None, trial, result)
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(None, trial, result)
            self.searcher.on_trial_complete(trial.trial_id, result=result)
            self.running.remove(trial)
        else:
            self.searcher.on_trial_result(trial.trial_id, result)
            trial.epoch += 1

    def _lose(self, trial: Running) -> None:
        trial.num_failures += 1
        if trial.num_failures <= RETRIES:
            self.listener.on_trial_recover(0, [], trial)
            self.listener.on_trial_start(0, [], trial)
            # From its checkpoint, which is one epoch back: that epoch is told again.
            trial.epoch = max(1, trial.epoch - 1)
            return
        self.scheduler.on_trial_error(None, trial)
        self.searcher.on_trial_complete(trial.trial_id, error=True)
        self.listener.on_trial_error(0, [], trial)
        self.running.remove(trial)


class DyingJournal(Journal):
    """A journal whose writer is killed instead of writing one record too many."""

    records_left: float = float("inf")

    def append(self, record: Record) -> None:
        if self.records_left <= 0:
            raise Killed
        self.records_left -= 1
        super().append(record)


@contextmanager
def recording(records: Sequence[Record], *, kill_after: float = float("inf")) -> Iterator[Recorder]:
    """Yields a recorder that found these records in its journal, and dies after so many more."""
    with tempfile.TemporaryDirectory() as folder:
        place = RunFolder(Path(folder))
        with DyingJournal(place.journal) as journal:
            for record in records:
                journal.append(record)
            journal.records_left = kill_after
            yield Recorder(journal, state=fold(read_journal(place.journal)), folder=place, clock=lambda: 1.0)


def opening(spec: StudySpec) -> list[Record]:
    header = StudyOpened(
        schema=2,
        study="s",
        study_id=spec.study_id,
        seed=spec.seed,
        metric=spec.objective.metric,
        mode=spec.objective.mode,
        max_epochs=spec.schedule.max_epochs,
        num_trials=spec.num_trials,
        at=0.0,
    )
    return [header]


def play(
    spec: StudySpec, records: Sequence[Record], *, seed: int, kill_after: float = float("inf")
) -> tuple[list[Record], StudyState]:
    """Returns the journal and the live state after a driver's work on it, until its end or its death."""
    lost = {(r.trial, fold(records[:i]).trials[r.trial].epoch + 1) for i, r in enumerate(records) if is_loss(r)}
    with recording(records, kill_after=kill_after) as recorder:
        with suppress(Killed):
            Driver(
                spec, world=World(seed=seed, max_epochs=spec.schedule.max_epochs, deaths=lost), recorder=recorder
            ).run()
        return list(read_journal(recorder._journal.path)), recorder.state


def is_loss(record: Record) -> Any:
    return type(record).__name__ == "WorkerLost"


def facts(state: StudyState) -> list[Any]:
    """Returns what a study's tables say of its trials, but for times and workers."""
    return [
        (
            trial.name,
            trial.variant,
            trial.state,
            [(report.epoch, dict(report.metrics), report.is_last, report.reason) for report in trial.reports],
            trial.stop and (trial.stop.epoch, trial.stop.reason),
            trial.failure and trial.failure.kind,
        )
        for trial in state.trials.values()
    ]


STUDIES = {
    "random": make_spec(),
    "grid": make_spec(search="grid", trials=9, max_epochs=3),
    "asha": make_spec(schedule="asha", trials=7, max_epochs=5),
    "grid asha": make_spec(search="grid", schedule="asha", trials=9),
    "tpe": make_spec(search="tpe", trials=12, max_epochs=2),
    "median": make_spec(schedule="median", trials=10, max_epochs=4),
    "hyperband": make_spec(schedule="hyperband", trials=10, max_epochs=6),
    "pasha": make_spec(schedule="pasha", trials=10, max_epochs=6),
    "tpe asha": make_spec(search="tpe", schedule="asha", trials=12, max_epochs=3),
}


@pytest.mark.parametrize("name", STUDIES)
def test_killed_at_any_record_and_resumed_it_ends_as_if_undisturbed(name: str) -> None:
    spec, seed = STUDIES[name], 3
    calm, ended = play(spec, opening(spec), seed=seed)
    assert ended.unfinished == []
    assert len(ended.trials) == spec.num_trials
    for length in range(1, len(calm)):
        records, state = play(spec, calm[:length], seed=seed)
        assert records[:length] == calm[:length]
        assert facts(state) == facts(ended), f"killed after record {length}: {calm[length - 1]}"


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(sorted(STUDIES)),
    seed=st.integers(0, 10_000),
    kills=st.lists(st.integers(1, 25), min_size=1, max_size=5),
)
def test_killed_again_and_again_it_ends_as_if_undisturbed(name: str, seed: int, kills: list[int]) -> None:
    spec = STUDIES[name]
    _, ended = play(spec, opening(spec), seed=seed)
    records = opening(spec)
    for kill_after in kills:
        records, _ = play(spec, records, seed=seed, kill_after=kill_after)
    records, state = play(spec, records, seed=seed)
    assert facts(state) == facts(ended)
    # Every report once, in order; nothing follows a trial's end.
    reported: dict[str, int] = {}
    for position, record in enumerate(records):
        if isinstance(record, EpochReported):
            assert record.report["epoch"] == reported.get(record.trial, 0) + 1
            reported[record.trial] = record.report["epoch"]
            assert not fold(records[:position]).trials[record.trial].has_ended


def test_the_played_studies_hold_every_kind_of_end() -> None:
    states = set()
    for seed in (3, 4):
        for spec in STUDIES.values():
            _, state = play(spec, opening(spec), seed=seed)
            states |= {trial.state for trial in state.trials.values()}
            states |= {"patience" for trial in state.trials.values() if trial.reason.startswith("patience")}
            states |= {trial.failure.kind for trial in state.trials.values() if trial.failure}
            states |= {"lost" for trial in state.trials.values() if trial.losses and not trial.failure}
    ends = {TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED, TrialState.INFEASIBLE}
    assert states >= ends | {"patience", "worker_lost", "diverged", "lost"}


def extended(spec: StudySpec, state: StudyState) -> StudyExtended:
    return StudyExtended(
        study_id=spec.study_id,
        max_epochs=spec.schedule.max_epochs,
        num_trials=spec.num_trials,
        change="",
        study="",
        replaces="",
        at=state.last_at,
    )


@pytest.mark.parametrize("search", ["random", "grid", "tpe"])
def test_study_extended_by_trials_ends_as_the_larger_one(search: str) -> None:
    small, large = (make_spec(search=search, trials=trials, max_epochs=2) for trials in (6, 9))
    # One after the other: a smaller study has no trial left to fill its last slots with.
    records, state = play(small, opening(small), seed=5)
    grown, state = play(large, [*records, extended(large, state)], seed=5)
    assert len(state.trials) == 9
    assert state.unfinished == []
    if search != "tpe":
        _, whole = play(large, opening(large), seed=5)
        assert facts(state) == facts(whole)
    for length in range(len(records), len(grown), 3):
        _, again = play(large, [*records, extended(large, state), *grown[len(records) + 1 : length]], seed=5)
        assert facts(again) == facts(state)


def test_study_extended_by_epochs_ends_as_the_longer_one() -> None:
    short, long = make_spec(max_epochs=3), make_spec(max_epochs=6)
    for seed in range(8):
        records, state = play(short, opening(short), seed=seed)
        _, state = play(long, [*records, extended(long, state)], seed=seed)
        assert state.unfinished == []
        for trial in state.trials.values():
            if trial.state is TrialState.COMPLETED and not trial.reason:
                assert trial.epoch == 6
                assert [report.is_last for report in trial.reports] == [False] * 5 + [True]


@pytest.mark.parametrize("algorithm", ["asha", "pasha", "hyperband", "median"])
@pytest.mark.parametrize("seed", range(6))
def test_no_rung_judges_a_trial_twice_however_often_the_study_is_extended(seed: int, algorithm: str) -> None:
    specs = [make_spec(schedule=algorithm, trials=6, max_epochs=epochs) for epochs in (2, 4, 9)]
    records = opening(specs[0])
    state = fold(records)
    for number, spec in enumerate(specs):
        if number:
            records = [*records, extended(spec, state)]
        records, state = play(spec, records, seed=seed)
        assert state.unfinished == []
        with recording(records) as recorder:
            scheduler: Any = make_scheduler(spec, TuneListener(recorder))
            for rung in getattr(scheduler.decider, "rungs", ()):
                for name, value in rung.values.items():
                    trial = recorder.state.trials[name]
                    # What it reported when it came to the rung, not anything later.
                    assert value == trial.reports[int(rung.milestone) - 1].metrics["val_accuracy"]
            # Replaying ends no trial that had not ended.
            assert list(read_journal(recorder._journal.path)) == records
    # Each stop has its report right before it, and nothing came after.
    for trial in state.trials.values():
        assert trial.stop is None or trial.stop.epoch == trial.epoch
