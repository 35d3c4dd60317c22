"""Workers that are silent are ended once and once more; those that die by themselves as often as the study allows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial as TuneTrial

from orchestrator.journal.file import Journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import SessionStarted, TrialProposed
from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import TrialState
from orchestrator.runs.paths import RunFolder
from orchestrator.tuning import silent_workers as late_workers
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.losses.lost_workers import why_lost
from orchestrator.tuning.schedulers import RecordedScheduler
from orchestrator.tuning.silent_workers import SilentWorkers

RETRIES = 2
CRASHED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker "
)
CRASHED += "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) OOM killer"
MEMORY = "Task was killed due to the node running low on memory."
NODE = "The actor died because its node has died. Node Id: 5f2"


@dataclass(kw_only=True)
class Rig:
    """One trial as Ray Tune has it, and what watches it."""

    listener: TuneListener
    watch: SilentWorkers
    folder: Path
    now: float = 0.0
    killed: list[Any] = field(default_factory=list)
    trial: Any = None

    def start(self, at: float) -> None:
        self.now = at
        self.trial.status = "RUNNING"
        for callback in (self.listener, self.watch):
            callback.on_trial_start(0, [self.trial], self.trial)

    def wait(self, until: float) -> None:
        """Takes steps of Ray Tune's loop, one a second."""
        while self.now < until:
            self.now += 1
            for callback in (self.listener, self.watch):
                callback.on_step_begin(0, [self.trial])

    def die(self, text: str = CRASHED) -> None:
        """Fails the trial as `TuneController._process_trial_failure` does."""
        self.trial.num_failures += 1
        (self.folder / "error.txt").write_text(f"Failure # 9 (...)\nolder\nFailure # {self.trial.num_failures} {text}")
        scheduler = RecordedScheduler(None, metric="val_accuracy", listener=self.listener)  # type: ignore[arg-type]
        scheduler.on_trial_error(None, self.trial)
        goes_on = TuneTrial.should_recover(
            SimpleNamespace(run_metadata=self.trial, max_failures=self.trial.max_failures)  # type: ignore[arg-type]
        )
        self.trial.status = "PENDING" if goes_on else "ERROR"
        if not goes_on:
            self.listener.give_up("t0000")
        for callback in (self.listener, self.watch):
            (callback.on_trial_recover if goes_on else callback.on_trial_error)(0, [self.trial], trial=self.trial)

    @property
    def recorder(self) -> Recorder:
        return self.listener.recorder

    @property
    def known(self) -> Any:
        return self.recorder.trial("t0000")


@pytest.fixture
def rig(tmp_path: Path, make_opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    folder = RunFolder(tmp_path)
    with Journal(folder.journal) as journal:
        recorder = Recorder(journal, state=fold([]), folder=folder, clock=lambda: made.now, retries=RETRIES)
        listener = TuneListener(recorder)
        watch = SilentWorkers(listener, setting=60, retries=RETRIES)
        made = Rig(listener=listener, watch=watch, folder=tmp_path)
        made.trial = SimpleNamespace(
            config={"trial": "t0000"},
            status="PENDING",
            num_failures=0,
            max_failures=1,
            error_file=str(tmp_path / "error.txt"),
            temporary_state=SimpleNamespace(ray_actor="actor"),
        )
        monkeypatch.setattr(late_workers.ray, "kill", lambda actor, **_: made.killed.append(actor))
        recorder.append(make_opened(at=0.0))
        recorder.append(SessionStarted(driver_pid=1, slots=1, at=0.0))
        variant = {"family": "sequential", "params": {}, "seed": 7}
        recorder.append(TrialProposed(trial="t0000", number=0, variant=variant, at=0.0))
        yield made


def test_silent_worker_is_ended_and_its_trial_goes_on_once(rig: Rig) -> None:
    rig.wait(until=10)
    rig.start(at=10)
    rig.wait(until=70)
    assert rig.killed == []
    rig.wait(until=75)
    assert rig.killed == ["actor"], "ended once, however often it is looked at"
    rig.die("killed by `ray.kill`")
    assert rig.trial.status == "PENDING"
    (loss,) = rig.known.losses
    assert (loss.kind, loss.at) == ("timed_out", 71)
    assert loss.reason.startswith("no report of epoch 1 for 1 min 01 s (limit 1 min 00 s): its worker is ended")
    rig.start(at=100)
    rig.wait(until=170)
    rig.die("killed by `ray.kill`")
    assert (rig.trial.status, len(rig.killed)) == ("ERROR", 2)
    assert (rig.known.state, rig.known.failure.kind) == (TrialState.FAILED, "timed_out")
    assert "for the second time; if it only needs longer, raise resources.report_timeout_seconds" in rig.known.reason
    assert len(rig.known.losses) == 1


def test_workers_that_die_and_workers_that_are_silent_are_counted_apart(rig: Rig) -> None:
    at = 0.0
    for kind in ("died", "silent", "died"):
        rig.start(at=at)
        if kind == "silent":
            rig.wait(until=at + 65)
        rig.die()
        assert rig.trial.status == "PENDING", kind
        at += 100
    assert [loss.kind for loss in rig.known.losses] == ["worker_lost", "timed_out", "worker_lost"]
    words = [loss.reason.rpartition("(")[2] for loss in rig.known.losses]
    assert words[::2] == ["retry 1 of 2)", "retry 2 of 2)"]
    rig.start(at=at)
    rig.die(NODE)
    assert (rig.trial.status, rig.known.failure.kind) == ("ERROR", "worker_lost")
    assert rig.known.reason == (
        "its worker died 3 times, the last time: its node died; resources.retries allows 2: see also the memory a "
        "trial needs"
    )


def test_losses_of_sessions_before_do_not_count(rig: Rig) -> None:
    for at in (0, 100):
        rig.start(at=at)
        rig.die()
    rig.recorder.append(SessionStarted(driver_pid=2, slots=1, at=rig.now))
    rig.trial.num_failures, rig.trial.max_failures = 0, 1
    for at in (200, 300):
        rig.start(at=at)
        rig.die()
        assert rig.trial.status == "PENDING"
    rig.start(at=400)
    rig.die()
    assert rig.trial.status == "ERROR"


def test_trial_whose_new_worker_never_begins_is_lost_and_not_late_again(rig: Rig) -> None:
    rig.start(at=0)
    rig.wait(until=65)
    rig.die()
    rig.die("The actor died because of an error raised in its creation task, ...")
    assert [loss.kind for loss in rig.known.losses] == ["timed_out", "worker_lost"]
    assert "its process could not start" in rig.known.losses[1].reason


def test_driver_that_slept_hears_what_came_meanwhile_before_it_judges(rig: Rig) -> None:
    rig.start(at=0)
    rig.wait(until=5)
    rig.now = 3600.0
    rig.wait(until=3660)
    assert rig.killed == []
    rig.wait(until=3663)
    assert rig.killed == ["actor"]


def test_report_that_comes_while_its_worker_is_ended_counts(rig: Rig) -> None:
    report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
    rig.start(at=0)
    rig.wait(until=65)
    rig.listener("tune", {"trial": "t0000", "worker": {}, "epoch": 1, "report": report})
    rig.die()
    assert (rig.known.epoch, len(rig.known.losses), rig.trial.status) == (1, 1, "PENDING")
    rig.start(at=70)
    rig.wait(until=140)
    assert rig.known.failure.kind == "timed_out"
    rig.listener("tune", {"trial": "t0000", "worker": {}, "epoch": 2, "report": {**report, "epoch": 2}})
    assert rig.known.epoch == 1, "what ended does not go on"


def test_nobody_is_ended_after_a_pause_is_requested_or_without_a_worker(rig: Rig) -> None:
    rig.start(at=0)
    rig.trial.temporary_state.ray_actor = None
    rig.wait(until=65)
    assert rig.known.losses == []
    rig.trial.temporary_state.ray_actor = "actor"
    rig.recorder.pause_requested.set()
    rig.now += 1
    rig.watch.on_step_begin(0, [rig.trial])
    assert rig.killed == []


def test_loss_is_in_the_journal_before_the_worker_is_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(late_workers.ray, "kill", lambda *_, **__: seen.append(len(rig.known.losses)))
    rig.start(at=0)
    rig.wait(until=65)
    assert seen == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CRASHED, "its process was killed or crashed: a signal such as SIGKILL or SIGSEGV"),
        (MEMORY, "the node ran low on memory and Ray ended the worker"),
        ("Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: ...", "the node ran low on memory"),
        (NODE, "its node died"),
        ("The actor died because of an error raised in its creation task", "its process could not start"),
        ("something new", ""),
        ("", ""),
    ],
)
def test_what_ray_says_of_a_dead_worker_is_told_in_words(text: str, words: str) -> None:
    assert why_lost(text).startswith(words)
    assert bool(why_lost(text)) == bool(words)


def test_loss_of_unknown_cause_is_told_without_one(rig: Rig) -> None:
    rig.start(at=0)
    rig.trial.error_file = None
    rig.die()
    assert rig.known.losses[0].reason == "its worker died; it goes on from its last checkpoint (retry 1 of 2)"
