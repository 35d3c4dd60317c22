"""Has a child process compute the reference rows while the trials train, and keeps them in the run folder."""

import logging
import threading
from collections.abc import Callable

from orchestrator.runs.paths import RunFolder
from orchestrator.runs.references_file import read_references_file, write_references_file
from trainables.errors import DataError
from trainables.references.in_process import references_in_process
from trainables.specs.dataset import DatasetInfo

logger = logging.getLogger(__name__)

#: How long the end of a study waits for rows that had no time of a processor while the trials trained.
WAIT_SECONDS = 30.0


class ReferenceRows:
    """The reference rows of a run: computed once, kept in references.json, found again by later sessions.

    They steer nothing and follow from the data alone, so they stand beside the journal and not in it.

    Args:
        folder: The run folder, which this driver holds.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self._problem = ""

    def begin(self, dataset: DatasetInfo) -> None:
        """Starts the child process, unless the run folder has the rows of this data set.

        Args:
            dataset: The study's, prepared on this machine.
        """
        if read_references_file(self._folder).get("dataset") == dataset.fingerprint:
            return
        # The child ends with its caller, so a thread that is left behind keeps nothing from ending.
        self._thread = threading.Thread(target=self._compute, args=(dataset,), name="references", daemon=True)
        self._thread.start()

    def finish(self, *, notify: Callable[[str], None]) -> None:
        """Waits for the rows, not for long, and notifies the user of a problem: a study does without them.

        Args:
            notify: Receives messages for the user.
        """
        if self._thread is None:
            return
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            self._problem = f"not ready {WAIT_SECONDS:.0f} s after the last trial"
        if self._problem:
            notify(f"references: the leaderboard has none ({self._problem})")

    def _compute(self, dataset: DatasetInfo) -> None:
        try:
            found = references_in_process(dataset)
            if self._folder.journal.is_file():  # a run folder without a trial is removed
                write_references_file(self._folder, {"dataset": dataset.fingerprint, **found})
        except (DataError, OSError) as exc:
            logger.warning('references not computed reason="%s"', exc)
            lines = str(exc).strip().splitlines()
            # Of a crash the first line has the exit code, and the last one the error.
            self._problem = lines[0] if len(lines) == 1 else f"{lines[0].partition(';')[0]}: {lines[-1]}"
