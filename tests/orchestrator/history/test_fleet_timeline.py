"""The timeline of a fleet is the time that workers spent: nothing twice, nothing lost, where clocks agree exact."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_courses import full_run, run_under
from made_up_journals import journals
from record_samples import sweep

from orchestrator.analysis.savings import savings_of
from orchestrator.history.fleet_bars import fleet_bars
from orchestrator.history.fleet_timeline import FleetTimeline, fleet_timeline
from orchestrator.history.worker_time import BESIDE_REPORTS, seconds_of
from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyOpened,
    TrialFailed,
    TrialProposed,
    TrialReused,
    TrialStarted,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.results.image_shares import ImageShares

BEGIN = 1_760_000_000.0
MAX_EPOCHS = 3
VARIANT = {"family": "sequential", "params": {"num_blocks": 1}, "seed": 0}


def demand_sound(timeline: FleetTimeline, state: StudyState) -> None:
    """Asserts the laws of every timeline."""
    ends: dict[int, float] = defaultdict(lambda: -math.inf)
    for span in timeline.spans:
        assert span.end > span.start
        assert span.start >= ends[span.lane]
        ends[span.lane] = span.end
        assert not state.trials[span.trial].reused_from or span.start >= state.trials[span.trial].proposed_at
    drawn = math.fsum(span.end - span.start for span in timeline.spans)
    assert timeline.cut_seconds >= 0
    assert drawn + timeline.cut_seconds == pytest.approx(math.fsum(timeline.seconds.values()), abs=1e-4)
    assert len({lane.name for lane in timeline.lanes}) == len(timeline.lanes)
    assert {span.lane for span in timeline.spans} == set(range(len(timeline.lanes)))


@dataclass(kw_only=True)
class Worker:
    """A made-up worker process that keeps its own clock exactly, as `WorkerClock` does.

    Attributes:
        truth: (kind, start, end) of everything that it did and that a report accounts for.
    """

    pid: int
    now: float
    truth: list[tuple[str, float, float]] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)
    unreported: float = 0.0

    def do(self, kind: str, seconds: float) -> None:
        self.truth.append((kind, self.now, self.now + seconds))
        self.spent[kind] = self.spent.get(kind, 0.0) + seconds
        self.now += seconds

    def fail(self, seconds: float) -> None:
        """Spends time on a step that ends without a report; the wait ahead of it is told with it."""
        lost = seconds + sum(self.spent.values())
        if self.spent:
            self.truth.pop()
        self.now += seconds
        self.truth.append(("failed", self.now - lost, self.now))
        self.spent, self.unreported = {}, self.unreported + lost

    def report(self, trial: str, epoch: int, *, is_last: bool) -> EpochReported:
        train = self.spent.pop("train")
        # In the order of a real report: what the training counts stands before what its worker adds.
        order = ["build", "import", "data", "trace", "validate", "checkpoint"]
        around = [kind for kind in self.spent if kind not in order]
        overhead = {kind: self.spent[kind] for kind in (*around, *(kind for kind in order if kind in self.spent))}
        report = {
            "epoch": epoch,
            "metrics": {"val_accuracy": 0.5},
            "train_seconds": train,
            "images_per_second": 1.0,
            "overhead_seconds": {**overhead, "other": self.unreported},
            "is_last": is_last,
        }
        self.spent, self.unreported = {}, 0.0
        return EpochReported(trial=trial, report=report, worker={"node": "n", "worker_pid": self.pid}, at=self.now)


def made_fleet(seed: int, *, num_workers: int = 3, num_trials: int = 12) -> tuple[list[Record], list[Worker]]:
    """Returns the journal of a study whose workers are known to the second, some steps of which fail."""
    draw, records, done = random.Random(seed), [], 0
    workers = [Worker(pid=100 + place, now=BEGIN + 1) for place in range(num_workers)]
    for worker in workers:
        worker.do("start", draw.uniform(0.5, 2))
        worker.do("import", draw.uniform(0, 3))
        worker.do("idle", draw.uniform(0.1, 1))
    is_first = set(range(num_workers))
    while done < num_trials:
        place = min(range(num_workers), key=lambda number: workers[number].now)
        worker, name = workers[place], f"t{done:04d}"
        if place not in is_first:
            worker.do("idle", draw.uniform(0.01, 0.5))
        started = worker.now
        records.append(TrialProposed(trial=name, number=done, variant=VARIANT, at=started))
        records.append(TrialStarted(trial=name, at=started))
        done += 1
        if done > 1 and draw.random() < 0.25 and place not in is_first:
            worker.fail(draw.uniform(0.1, 2))
            failed = {"node": "n", "worker_pid": worker.pid}
            records.append(TrialFailed(trial=name, kind="infeasible", reason="small", worker=failed, at=worker.now))
            continue
        is_first.discard(place)
        last = draw.randint(1, MAX_EPOCHS)
        for epoch in range(1, last + 1):
            if epoch == 1:
                for kind in ("data", "build", "trace"):
                    worker.do(kind, draw.uniform(0.01, 2))
            else:
                worker.do("report", draw.uniform(0.001, 0.05))
            worker.do("train", draw.uniform(1, 5))
            worker.do("validate", draw.uniform(0.1, 1))
            worker.do("checkpoint", draw.uniform(0.01, 0.1))
            records.append(worker.report(name, epoch, is_last=epoch == last))
    opened = StudyOpened(
        schema=2,
        study="s",
        seed=0,
        metric="val_accuracy",
        mode="max",
        max_epochs=MAX_EPOCHS,
        num_trials=num_trials,
        at=BEGIN,
    )
    records.sort(key=lambda record: record.at)
    proposed = [record for record in records if isinstance(record, TrialProposed)]
    others = [record for record in records if not isinstance(record, TrialProposed)]
    session = SessionStarted(driver_pid=1, slots=num_workers, at=BEGIN)
    return [opened, session, *sorted(proposed, key=lambda item: item.number), *others], workers


@pytest.mark.parametrize("seed", range(20))
def test_a_fleet_whose_workers_are_known_is_laid_out_as_it_was(seed: int) -> None:
    records, workers = made_fleet(seed)
    state = fold(records)
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    assert timeline.cut_seconds == pytest.approx(0, abs=1e-4)
    for place, lane in enumerate(timeline.lanes):
        worker = next(item for item in workers if item.pid == lane.pid)
        told = up_to_a_report((span.kind, span.start, span.end) for span in timeline.spans if span.lane == place)
        known = up_to_a_report(worker.truth)
        assert [kind for kind, _, _ in told] == [kind for kind, _, _ in known]
        for (_, start, end), (_, true_start, true_end) in zip(told, known, strict=True):
            assert start == pytest.approx(true_start, rel=0, abs=1e-4)
            assert end == pytest.approx(true_end, rel=0, abs=1e-4)


def up_to_a_report(told: Iterable[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Returns what comes before the last report, which ends with a checkpoint: what follows nobody accounts for."""
    found = list(told)
    while found and found[-1][0] != "checkpoint":
        found.pop()
    return found


@settings(max_examples=50, deadline=None)
@given(records=journals())
def test_spans_of_any_journal_neither_overlap_nor_lose_a_second(records: list[Record]) -> None:
    state = fold(records)
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    assert len(timeline.losses) == sum(isinstance(record, WorkerLost) for record in records)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), jumps=st.lists(st.floats(-50, 50), min_size=60, max_size=60))
def test_clocks_that_jump_cut_seconds_off_and_break_nothing(seed: int, jumps: list[float]) -> None:
    records, _ = made_fleet(seed)
    moved = [
        replace(record, at=record.at + jump) if isinstance(record, EpochReported | TrialStarted) else record
        for record, jump in zip(records, [*jumps, *[0.0] * len(records)], strict=False)
    ]
    state = fold(moved)
    demand_sound(fleet_timeline(state), state)


def test_the_seconds_of_each_kind_are_those_of_the_journal() -> None:
    state = fold(sweep())
    timeline, told = fleet_timeline(state), Counter[str]()
    for trial in state.trials.values():
        for report in trial.reports:
            told.update({**report.overhead_seconds, "train": report.train_seconds})
    kinds = {kind: seconds for kind, seconds in timeline.seconds.items() if kind not in BESIDE_REPORTS}
    assert kinds == pytest.approx(dict(told))
    assert kinds["train"] == pytest.approx(319.0)


def test_a_worker_that_is_lost_costs_what_it_had_begun_and_the_trial_is_taken_up_again() -> None:
    worker = {"node": "n", "worker_pid": 7}
    base = {"metrics": {"val_accuracy": 0.5}, "train_seconds": 2.0, "images_per_second": 1.0}
    state = fold(
        [
            *sweep()[:4],
            EpochReported(trial="t0000", report={**base, "epoch": 1}, worker=worker, at=sweep()[3].at + 10),
            WorkerLost(trial="t0000", reason="killed", at=sweep()[3].at + 13),
            TrialStarted(trial="t0000", at=sweep()[3].at + 14),
            WorkerLost(trial="t0000", reason="killed again", at=sweep()[3].at + 19),
        ]
    )
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    assert [(loss.seconds, loss.is_retried) for loss in timeline.losses] == [(3.0, True), (5.0, False)]
    assert timeline.num_retries == 1
    lost = [(timeline.lanes[span.lane].name, span.end - span.start) for span in timeline.spans if span.kind == "lost"]
    # Of a worker that never reported, nobody knows the process.
    assert lost == [("n 7", 3.0), ("worker not known, 1", 5.0)]


def test_workers_that_nobody_knows_share_lanes_only_one_after_another() -> None:
    begin = sweep()[3].at
    trials = [replace(sweep()[2], trial=f"t{number:04d}", number=number, at=begin) for number in range(3)]
    times = {"t0000": (begin, begin + 5), "t0001": (begin + 2, begin + 9), "t0002": (begin + 6, begin + 8)}
    state = StudyState()
    for record in [*sweep()[:2], *trials]:
        state.apply(record)
    for name, (started, lost) in times.items():
        state.apply(TrialStarted(trial=name, at=started))
        state.apply(WorkerLost(trial=name, reason="killed", at=lost))
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    assert [lane.name for lane in timeline.lanes] == ["worker not known, 1", "worker not known, 2"]
    assert [(span.lane, span.trial) for span in timeline.spans] == [(0, "t0000"), (0, "t0002"), (1, "t0001")]


def test_a_trial_of_another_run_has_no_span() -> None:
    report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 9.0, "images_per_second": 1.0}
    reused = TrialReused(
        trial="t0000",
        number=0,
        variant=VARIANT,
        source="runs/old",
        source_trial="t0007",
        reports=[{**report, "is_last": True}],
        reported_at=[BEGIN - 5],
        started_at=[BEGIN - 20],
        worker={"node": "n", "worker_pid": 7},
        at=BEGIN + 9,
    )
    timeline = fleet_timeline(fold([*sweep()[:2], reused]))
    assert (timeline.spans, timeline.lanes, timeline.seconds) == ((), (), {})


def test_a_report_that_is_sent_again_has_no_time_before_its_worker_began() -> None:
    worker = {"node": "n", "worker_pid": 8}
    base = {"metrics": {"val_accuracy": 0.5}, "images_per_second": 1.0}
    begin = sweep()[3].at
    state = fold(
        [
            *sweep()[:4],
            WorkerLost(trial="t0000", reason="killed", at=begin + 60),
            TrialStarted(trial="t0000", at=begin + 70),
            EpochReported(
                trial="t0000", report={**base, "epoch": 1, "train_seconds": 50.0}, worker=worker, at=begin + 72
            ),
        ]
    )
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    train = next(span for span in timeline.spans if span.kind == "train")
    # A second more than the trial's start: clocks of two machines may differ by as much.
    assert (train.start, train.end) == (begin + 69, begin + 72)
    assert timeline.cut_seconds == pytest.approx(47.0)


def test_processes_of_one_number_in_two_sessions_have_two_lanes() -> None:
    records, _ = made_fleet(1, num_workers=1, num_trials=2)
    number = next(
        place for place, item in enumerate(records) if isinstance(item, TrialStarted) and item.trial != "t0000"
    )
    state = fold([*records[:number], SessionStarted(driver_pid=2, slots=1, at=records[number].at), *records[number:]])
    timeline = fleet_timeline(state)
    demand_sound(timeline, state)
    assert [lane.name for lane in timeline.lanes] == ["n 100 (session 1)", "n 100 (session 2)"]


def test_what_trains_now_is_told_up_to_the_last_record() -> None:
    state = fold([*sweep()[:6], replace(sweep()[2], trial="t0001", number=1, at=sweep()[5].at + 4)])
    timeline = fleet_timeline(state)
    running = [span for span in timeline.spans if span.kind == "running"]
    assert [(span.trial, span.end - span.start) for span in running] == [("t0000", 4.0)]


@pytest.mark.parametrize("algorithm", ["none", "asha", "median", "hyperband"])
def test_what_stopping_saved_is_what_the_analysis_says(algorithm: str) -> None:
    for state in (fold(sweep()), run_under(full_run(3), algorithm)):
        told, known = fleet_timeline(state).saved, savings_of(state, shares=ImageShares())
        assert (told.num_stopped, told.epochs) == (known.num_stopped, known.epochs)
        assert (told.seconds > 0) == (told.epochs > 0)


def test_seconds_of_a_first_report_have_the_import_before_the_wait() -> None:
    report = fold(sweep()).trials["t0000"].reports[0]
    first = replace(report, overhead_seconds={"idle": 1.0, "start": 2.0, "import": 3.0, "strange": 4.0, "other": 5.0})
    assert list(seconds_of(first)) == ["start", "import", "idle", "train", "strange", "other"]


@pytest.mark.parametrize("most", [1, 3, 40, 10_000])
def test_bars_are_few_enough_and_cover_every_span(most: int) -> None:
    timeline = fleet_timeline(fold(made_fleet(2, num_trials=30)[0]))
    bars = fleet_bars(timeline, most=most)
    assert len(bars) <= max(most, len(timeline.lanes))
    assert sum(bar.num_spans for bar in bars) == len(timeline.spans)
    for span in timeline.spans:
        (over,) = [bar for bar in bars if bar.lane == span.lane and bar.start <= span.start and span.end <= bar.end]
        assert span.trial in over.trials
    if most >= len(timeline.spans):
        assert [(bar.kind, bar.trials) for bar in bars] == [(span.kind, (span.trial,)) for span in timeline.spans]
    elif most >= 40:
        assert len(bars) > 20
    for before, after in pairwise(bars):
        assert before.lane < after.lane or before.end <= after.start
