"""Keeps trials.parquet and epochs.parquet current while a study runs."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from orchestrator.errors import StudyPausedError
from orchestrator.journal.recorder import Recorder
from orchestrator.results.growing_tables import GrowingTables
from orchestrator.results.tables import write_tables
from orchestrator.runs.paths import RunFolder

logger = logging.getLogger(__name__)

#: A table is never older than this while reports come in.
PERIOD_SECONDS = 5.0


class TableWriter:
    """Writes the tables every few seconds on a thread of its own, and once more at the end.

    Args:
        folder: Where to.
        recorder: Where the state is.
    """

    def __init__(self, folder: RunFolder, *, recorder: Recorder) -> None:
        self._folder = folder
        self._recorder = recorder
        self._tables = GrowingTables()
        self._is_written = False
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="table-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing.set()
        self._thread.join()
        try:
            self.write()
        except OSError as exc:
            if error is None:
                raise
            # What ended the study says more; the tables are written again when it goes on.
            logger.warning('tables not written reason="%s"', exc)

    def write(self) -> None:
        """Writes both tables if the journal has grown since the last time.

        Raises: StudyPausedError: if another driver has taken over.
        """
        self._recorder.check()
        with self._recorder.lock:
            has_grown = self._tables.update(self._recorder.state)
        if not has_grown and self._is_written:
            return
        self._is_written = False
        trials, epochs = self._tables.tables()
        write_tables(self._folder, trials=trials, epochs=epochs)
        self._is_written = True

    def _run(self) -> None:
        wait = 1.0
        while not self._is_closing.wait(wait):
            started = time.monotonic()
            try:
                self.write()
            except StudyPausedError:
                return  # the main thread finds out by itself, at its next record
            except Exception as exc:  # noqa: BLE001 - told again, and raised, when they are written at the end
                # The tables follow from the journal and can be written again; the study goes on.
                logger.warning('tables not written reason="%s"', exc)
            # A fiftieth of the driver's time, as long as that does not make the tables older.
            wait = min(PERIOD_SECONDS, 1.0 + 49.0 * (time.monotonic() - started))
