"""Writes every Ray Tune event to the journal before the scheduler or searcher sees it.

For each result, Ray Tune calls its stopper first, then the scheduler, the searcher and the callbacks. The listener is
therefore both stopper and callback: as a stopper it records the report, and stops a trial only for the study's budgets,
or where a person asks for it.
"""

import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from orchestrator.errors import StudyPausedError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EpochReported, TrialNoted, TrialStarted, WorkerLost
from orchestrator.journal.trial import is_to_stop
from orchestrator.study.sections import Search
from orchestrator.text import encodable
from orchestrator.tuning.budgets import Budgets
from orchestrator.tuning.losses.lost_workers import given_up_in_words, lost_in_words, why_lost
from orchestrator.tuning.tune_internals import Unsaved
from trainables.files.whole import write_whole
from trainables.reports import FailureKind

logger = logging.getLogger(__name__)

#: Parts of a result that no one reads once it is recorded; Ray lets callbacks change results.
_RECORDED = ("report", "worker", "notes", "failure", "config")


class TuneListener(Unsaved, tune.Stopper, tune.Callback):
    """Records Ray Tune's events until a pause is requested, and stops trials when the study has had enough.

    Args:
        recorder: Writes the journal; its `pause_requested` ends Ray Tune's loop.
        budgets: Say when the study has had enough; None: it has no budgets.
    """

    def __init__(self, recorder: Recorder, *, budgets: Budgets | None = None) -> None:
        self.recorder = recorder
        self.budgets = budgets or Budgets(recorder, Search())
        #: Numbers of the starts of workers in this session: of two workers of a trial, the later one has the larger.
        self.starts = itertools.count(1)
        #: Trials whose `WorkerLost` record is written but not yet confirmed by Ray Tune.
        self._announced: set[str] = set()
        #: By trial: why it lost its last worker, in words.
        self._causes: dict[str, str] = {}

    def lose_worker(self, name: str, *, kind: FailureKind, reason: str) -> None:
        """Records a loss before Ray Tune reports it; the driver calls this before it ends the worker itself."""
        self.recorder.append(WorkerLost(trial=name, kind=str(kind), reason=reason, at=self.recorder.now()))
        self._announced.add(name)

    def give_up(self, name: str) -> None:
        """Records that a trial failed because its workers died too often."""
        trial = self.recorder.trial(name)
        # One that waits has left its worker, whatever becomes of that one.
        if not self.recorder.pause_requested.is_set() and not trial.has_ended and not trial.is_held:
            reason = given_up_in_words(trial, retries=self.recorder.retries, why=self._causes.get(name, ""))
            self.recorder.fail(name, kind=FailureKind.WORKER_LOST, reason=reason)

    def note_cause(self, trial: TuneTrial) -> None:
        """Remembers why a trial's worker died; the scheduler calls this before Ray Tune calls any callback."""
        self._causes[trial.config["trial"]] = why_lost(last_error(trial))

    # As a stopper.

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Records a result, and returns whether its trial stops for a budget or as a person asks."""
        if self.recorder.pause_requested.is_set():
            return False
        name, append, now = result["trial"], self.recorder.append, self.recorder.now
        for note in result.get("notes", ()):
            append(TrialNoted(trial=name, kind=str(note["kind"]), text=encodable(note["text"]), at=now()))
        if "picture" in result:
            _keep_picture(result["picture"], path=self.recorder.folder.augmented)
        if "failure" in result:
            kind, reason, details = (result["failure"][key] for key in ("kind", "reason", "details"))
            self.recorder.fail(name, kind=kind, reason=reason, details=details, worker=result["worker"])
        elif "report" in result and self._is_awaited(result):
            append(EpochReported(trial=name, report=result["report"], worker=result["worker"], at=now()))
            if is_to_stop(self.recorder.trial(name)):
                self.recorder.stop_by_hand(name)
                return True
            if self.budgets.ends(trial := self.recorder.trial(name)):
                self.budgets.stop(trial)
                return True
        return False

    def stop_all(self) -> bool:
        """Returns False: a pause ends the loop in `on_step_begin`, without waiting for epochs that are under way."""
        return False

    # As a callback.

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Ends Ray Tune's loop when a pause is requested."""
        if self.recorder.pause_requested.is_set():
            raise StudyPausedError("interrupted")

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a worker started a trial."""
        if not self.recorder.pause_requested.is_set():
            self.recorder.append(TrialStarted(trial=trial.config["trial"], at=self.recorder.now()))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a worker died and its trial continues."""
        # Before Ray Tune gives the trial to another worker; the one that it lost may yet be alive, and cut off.
        trial.config["start"] = next(self.starts)
        if self.recorder.pause_requested.is_set():
            return
        name = trial.config["trial"]
        if name in self._announced:
            self._announced.discard(name)
            return
        why = self._causes.pop(name, "")
        reason = lost_in_words(self.recorder.trial(name), retries=self.recorder.retries, why=why)
        self.recorder.append(WorkerLost(trial=name, reason=reason, at=self.recorder.now()))

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Takes out of a result what the journal has of it: Ray Tune would keep statistics of each number."""
        for name in _RECORDED:
            result.pop(name, None)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a trial's workers died too often."""
        self.give_up(trial.config["trial"])

    def _is_awaited(self, result: Mapping[str, Any]) -> bool:
        trial = self.recorder.trial(result["trial"])
        # A trial that continues from an older checkpoint reports epochs twice. A trial that has ended reports once more
        # if its report was on the way while the driver ended its worker for silence.
        return bool(result["report"]["epoch"] == trial.epoch + 1) and not trial.has_ended and not trial.is_held


def last_error(trial: TuneTrial) -> str:
    """Returns Ray's text of a trial's last failure; empty if it cannot be read."""
    try:
        return Path(trial.error_file).read_text(encoding="utf-8").rpartition("Failure # ")[2]
    except (OSError, TypeError, ValueError):
        return ""


def _keep_picture(content: bytes, *, path: Path) -> None:
    """Writes the picture of augmentation that a node without the run folder has made, unless there is one."""
    try:
        if not path.exists():
            write_whole(path, content)
    except OSError as exc:
        # A study is worth more than a picture.
        logger.warning('picture=%s decision=skip reason="%s"', path, exc)
