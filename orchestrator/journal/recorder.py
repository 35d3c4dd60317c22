"""The recorder: everything that Ray Tune tells goes into the journal here, before anything acts on it.

Ray Tune asks its stopper about a result first, then the scheduler, then the searcher, then the callbacks. The recorder
is therefore the stopper as well as the callback: as a stopper it writes the report down and stops nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from orchestrator.errors import StudyFailedError, StudyPausedError
from orchestrator.journal.file import Journal
from orchestrator.journal.records import (
    EpochReported,
    Record,
    TrialFailed,
    TrialNoted,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import RunFolder
from orchestrator.text import encodable
from orchestrator.tuning.listener import last_error
from orchestrator.tuning.lost_workers import given_up_in_words, lost_in_words, why_lost
from orchestrator.tuning.tune_internals import Unsaved
from trainables.files.whole import write_whole
from trainables.reports import FailureKind

logger = logging.getLogger(__name__)

#: Failures of the machine or the data, which would end every other trial, too.
_NOT_THE_VARIANTS = frozenset({FailureKind.STORAGE_ERROR, FailureKind.DATA_ERROR})
#: A study whose first trials all fail with the same error of code is broken.
NUM_ALIKE = 3


class Recorder(Unsaved, tune.Stopper, tune.Callback):
    """Writes the journal and keeps the state that follows from it.

    Args:
        journal: Open for appending.
        state: The fold of what is in it already.
        folder: For tracebacks of failures.
        clock: Seconds since 1970.
        retries: How often a trial goes on after its worker died.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        state: StudyState,
        folder: RunFolder,
        clock: Callable[[], float] = time.time,
        retries: int = 0,
    ) -> None:
        self.state = state
        self._journal = journal
        self._folder = folder
        self._clock = clock
        #: Held while a record is written and folded in; readers of `state` on other threads take it, too.
        self.lock = threading.Lock()
        #: Set to make Ray Tune's loop end at its next step; nothing is recorded from then on.
        self.pause_requested = threading.Event()
        #: How often a trial goes on after its worker died; a study that is extended may change it.
        self.retries = retries
        #: Trials whose loss of a worker is in the journal, and of which Ray Tune has yet to tell.
        self._announced: set[str] = set()
        #: Why trials lost their last worker, in words.
        self._causes: dict[str, str] = {}

    def now(self) -> float:
        """Returns the time that records carry."""
        return self._clock()

    def check(self) -> None:
        """Makes sure that this driver may still write.

        Raises:
            StudyPausedError: If another one has taken over.
        """
        # Between a line's bytes and its length there is a moment in which the journal looks like somebody else's.
        with self.lock:
            self._journal.check()

    def append(self, record: Record) -> None:
        """Writes a record, then folds it into the state."""
        with self.lock:
            self._journal.append(record)
            self.state.apply(record)

    def trial(self, name: str) -> Trial:
        """Returns a trial as the journal knows it."""
        return self.state.trials[name]

    def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
        """Records the scheduler's decision to end a trial."""
        if not self.pause_requested.is_set() and self.trial(name).stop is None:
            self.append(TrialStopped(trial=name, epoch=epoch, reason=reason, at=self.now()))

    def lose_worker(self, name: str, *, kind: FailureKind, reason: str) -> None:
        """Records a loss before Ray Tune tells of it, because the driver itself is about to end the worker."""
        self.append(WorkerLost(trial=name, kind=str(kind), reason=reason, at=self.now()))
        self._announced.add(name)

    def fail(self, name: str, *, kind: FailureKind, reason: str) -> None:
        """Records that a trial ends without a result, on the driver's own decision."""
        failure = {"kind": kind, "reason": reason, "details": ""}
        self._record_failure({"trial": name, "worker": self.trial(name).worker, "failure": failure})

    def give_up(self, name: str, *, why: str = "") -> None:
        """Records that no worker will take up a trial again, because they died too often."""
        trial = self.trial(name)
        if not self.pause_requested.is_set() and not trial.has_ended:
            reason = given_up_in_words(trial, retries=self.retries, why=why or self._causes.get(name, ""))
            self.fail(name, kind=FailureKind.WORKER_LOST, reason=reason)

    def note_cause(self, trial: TuneTrial) -> None:
        """Remembers why a trial's worker died; Ray Tune's scheduler is told first, and hands this on."""
        self._causes[trial.config["trial"]] = why_lost(last_error(trial))

    # As a stopper.

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Records a result and never stops its trial."""
        if not self.pause_requested.is_set():
            for note in result.get("notes", ()):
                text = encodable(note["text"])
                self.append(TrialNoted(trial=result["trial"], kind=str(note["kind"]), text=text, at=self.now()))
            if "failure" in result:
                self._record_failure(result)
            elif "report" in result and self._is_awaited(result):
                self.append(
                    EpochReported(
                        trial=result["trial"], report=result["report"], worker=result["worker"], at=self.now()
                    )
                )
        return False

    def stop_all(self) -> bool:
        """Returns False: a pause ends the loop in `on_step_begin`, without waiting for epochs that are under way."""
        return False

    # As a callback.

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Ends Ray Tune's loop when a pause is requested."""
        if self.pause_requested.is_set():
            raise StudyPausedError("interrupted")

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a worker took up a trial."""
        if not self.pause_requested.is_set():
            self.append(TrialStarted(trial=trial.config["trial"], at=self.now()))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a worker died whose trial goes on."""
        if not self.pause_requested.is_set():
            name = trial.config["trial"]
            if name in self._announced:
                self._announced.discard(name)
                return
            why = self._causes.pop(name, "")
            reason = lost_in_words(self.trial(name), retries=self.retries, why=why)
            self.append(WorkerLost(trial=name, reason=reason, at=self.now()))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Records that a trial's workers died too often."""
        self.give_up(trial.config["trial"])

    def _is_awaited(self, result: Mapping[str, Any]) -> bool:
        trial = self.trial(result["trial"])
        # Another epoch was told before: a trial that went on from an older checkpoint repeats itself. One that ended is
        # heard once more if its worker was ended for its silence at that very moment.
        return bool(result["report"]["epoch"] == trial.epoch + 1) and not trial.has_ended

    def _record_failure(self, result: Mapping[str, Any]) -> None:
        failure = result["failure"]
        reason, details = encodable(failure["reason"]), encodable(failure["details"])
        if failure["kind"] in _NOT_THE_VARIANTS:
            # The trial is not to blame and stays unfinished, so that the study can go on once this is mended.
            raise StudyFailedError(f"{reason}; mend that, then `convfleet resume {self._folder.quoted}`")
        if details:
            self._write_details(result["trial"], details)
        self.append(
            TrialFailed(
                trial=result["trial"],
                kind=str(failure["kind"]),
                reason=reason,
                worker=result["worker"],
                at=self.now(),
            )
        )
        self._stop_if_all_fail_alike()

    def _write_details(self, name: str, details: str) -> None:
        try:
            write_whole(self._folder.failure(name), details)
        except OSError as exc:
            # The reason goes into the journal all the same; the traceback is only more of it.
            logger.warning('trial=%s traceback not written reason="%s"', name, exc)

    def _stop_if_all_fail_alike(self) -> None:
        """Raises StudyFailedError if the first trials all ended with the same error of code."""
        if self.state.num_ended != NUM_ALIKE:
            return
        ended = [trial for trial in self.state.trials.values() if trial.has_ended]
        reasons = {trial.reason for trial in ended}
        failures = [trial.failure for trial in ended if trial.failure is not None]
        if len(reasons) != 1 or len(failures) != NUM_ALIKE:
            return
        if all(failure.kind == FailureKind.CODE_ERROR for failure in failures):
            # Other code of the user's makes another study, so this run could not go on with it.
            is_users = "source" in ended[0].variant.params
            next_step = "run the study anew" if is_users else f"`convfleet resume {self._folder.quoted}`"
            raise StudyFailedError(
                f"the first {NUM_ALIKE} trials all failed with: {reasons.pop()}; see "
                f"{self._folder.failure(ended[0].name)}; mend that, then {next_step}"
            )
