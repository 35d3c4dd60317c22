"""Writes a study's journal, as its only writer, and keeps the state that follows from it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import StudyFailedError
from orchestrator.journal.file import Journal
from orchestrator.journal.records import Record, TrialFailed, TrialStopped
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import STOPPED_BY_HAND, Trial
from orchestrator.runs.paths import RunFolder
from orchestrator.text import encodable
from trainables.files.whole import write_whole
from trainables.reports import FailureKind

logger = logging.getLogger(__name__)

#: Failures of the machine or the data, which would end every other trial too.
_NOT_THE_VARIANTS = frozenset({FailureKind.STORAGE_ERROR, FailureKind.DATA_ERROR})
#: A study ends if so many first trials all fail with the same error of code.
NUM_ALIKE = 3


class Recorder:
    """Writes the journal and keeps the state that follows from it.

    Args:
        journal: Open for appending.
        state: The fold of the records that the journal has already.
        folder: The run folder, which receives the tracebacks of failures.
        clock: Returns seconds since 1970.
        retries: How often a trial continues after its worker died.
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
        #: Held while a record is written and applied; readers of `state` on other threads hold it too.
        self.lock = threading.Lock()
        #: Set to make Ray Tune's loop end at its next step; nothing is recorded from then on.
        self.pause_requested = threading.Event()
        #: How often a trial continues after its worker died; an extension of the study may change it.
        self.retries = retries

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self._folder

    def now(self) -> float:
        """Returns the time that records carry."""
        return self._clock()

    def check(self) -> None:
        """Checks that this driver may still write.

        Raises:
            StudyPausedError: If another driver has taken over.
        """
        # Without the lock, a line that is written but not yet counted would look like another program's.
        with self.lock:
            self._journal.check()

    def append(self, record: Record) -> None:
        """Writes a record, then applies it to the state."""
        with self.lock:
            self._journal.append(record)
            self.state.apply(record)

    def sync(self) -> None:
        """Makes all records durable: they outlive a power loss."""
        self._journal.sync()

    def trial(self, name: str) -> Trial:
        """Returns a trial as the journal has it."""
        return self.state.trials[name]

    def stop_trial(self, name: str, *, epoch: int, reason: str) -> None:
        """Records the scheduler's decision to end a trial."""
        if not self.pause_requested.is_set() and self.trial(name).stop is None:
            self.append(TrialStopped(trial=name, epoch=epoch, reason=reason, at=self.now()))

    def stop_by_hand(self, name: str) -> None:
        """Records that a trial ends as a person asked."""
        epoch = self.trial(name).epoch
        self.stop_trial(name, epoch=epoch, reason=f"{STOPPED_BY_HAND} after epoch {epoch}")

    def fail(
        self,
        name: str,
        *,
        kind: FailureKind,
        reason: str,
        details: str = "",
        worker: Mapping[str, Any] | None = None,
    ) -> None:
        """Records that a trial ends without a result.

        Args:
            name: The trial.
            kind: What kind of failure ends it.
            reason: The failure in one line.
            details: The traceback, which the recorder writes to a separate file.
            worker: The worker that failed; None: the trial's last worker.

        Raises:
            StudyFailedError: If the failure would end every other trial too.
        """
        reason, details = encodable(reason), encodable(details)
        if kind in _NOT_THE_VARIANTS:
            # The variant is not the cause: the trial stays unfinished, so that the study can continue after the repair.
            raise StudyFailedError(f"{reason}; mend that, then `convfleet resume {self._folder.quoted}`")
        if details:
            self._write_details(name, details)
        worker = self.trial(name).worker if worker is None else worker
        self.append(TrialFailed(trial=name, kind=str(kind), reason=reason, worker=worker, at=self.now()))
        self._stop_if_all_fail_alike()

    def _write_details(self, name: str, details: str) -> None:
        try:
            write_whole(self._folder.failure(name), details)
        except OSError as exc:
            # The journal still receives the reason; only the traceback is lost.
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
            # Changed user code makes another study, which this run cannot continue.
            is_users = "source" in ended[0].variant.params
            next_step = "run the study anew" if is_users else f"`convfleet resume {self._folder.quoted}`"
            raise StudyFailedError(
                f"the first {NUM_ALIKE} trials all failed with: {reasons.pop()}; see "
                f"{self._folder.failure(ended[0].name)}; mend that, then {next_step}"
            )
