"""Keeps trials.parquet and epochs.parquet current while a study runs."""

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import pyarrow as pa

from orchestrator.errors import StudyPausedError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.study_state import StudyState
from orchestrator.pareto.goals import Goal
from orchestrator.results.tables import Rows, epoch_rows, joined_epochs, joined_trials, trial_rows, write_tables
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.periodic import Periodic

logger = logging.getLogger(__name__)

#: The tables on disk are never older than this while reports come in.
PERIOD_SECONDS = 5.0
#: Trials of a block, whose rows are made together: a change of one trial makes the rows of the whole block anew.
BLOCK_TRIALS = 64


class TableWriter:
    """Writes the tables every few seconds on a thread of its own, and once more at the end.

    Args:
        folder: The run's, which the tables are written to.
        recorder: Has the study's state.
    """

    def __init__(self, folder: RunFolder, *, recorder: Recorder) -> None:
        self._folder = folder
        self._recorder = recorder
        self._tables = GrowingTables()
        self._is_written = False
        self._periodic = Periodic(
            self._write_safely, name="table-writer", shortest_seconds=1.0, longest_seconds=PERIOD_SECONDS
        )

    def __enter__(self) -> Self:
        self._periodic.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._periodic.stop()
        try:
            self.write()
        except OSError as exc:
            if error is None:
                raise
            # The error that ended the study says more; a resumed study writes the tables again.
            logger.warning('tables not written reason="%s"', exc)

    def write(self) -> None:
        """Writes both tables if the journal has grown since the last time.

        Raises:
            StudyPausedError: If another driver has taken over.
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

    def _write_safely(self) -> bool:
        """Returns whether this driver may still write."""
        try:
            self.write()
        except StudyPausedError:
            return False  # the main thread raises it too, at its next record
        except Exception as exc:  # noqa: BLE001 - the last write, at the end, raises it
            # The tables follow from the journal and can be written again; the study goes on.
            logger.warning('tables not written reason="%s"', exc)
        return True


class GrowingTables:
    """Holds the rows of a study's trials, in blocks, as of the last `update`.

    The time of an update depends on what has changed since the one before, not on the size of the study. Only joining
    the blocks takes longer as the study grows: 15 ms at 10,000 trials of ten parameters.

    Args:
        block_trials: How many trials a block has.
    """

    def __init__(self, *, block_trials: int = BLOCK_TRIALS) -> None:
        self._block_trials = block_trials
        self._num_records = -1
        self._goals: Sequence[Goal] = ()
        self._num_changes = 0
        #: Each trial's place in the tables, in the order the trials were proposed.
        self._places: dict[str, int] = {}
        self._trials: list[Rows] = []
        self._epochs: list[Rows] = []

    def update(self, state: StudyState) -> bool:
        """Makes the rows of trials that have changed anew, and returns whether any has.

        The caller keeps other threads from changing the study meanwhile.

        Args:
            state: Always of the same study.
        """
        if state.num_records == self._num_records:
            return False
        self._goals = state.header.goals
        trials = list(state.trials.values())
        for trial in trials[len(self._places) :]:
            self._places[trial.name] = len(self._places)
        changed = {self._places[name] // self._block_trials for name in state.changes[self._num_changes :]}
        # Without any trial, one empty block has the columns.
        for at in sorted(changed | ({0} if not trials else set())):
            rows = trials[at * self._block_trials : (at + 1) * self._block_trials]
            self._trials[at : at + 1] = [trial_rows(rows, header=state.header)]
            self._epochs[at : at + 1] = [epoch_rows(rows)]
        self._num_changes, self._num_records = len(state.changes), state.num_records
        return True

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Returns the trials and the epochs as of the last update."""
        return (
            joined_trials(self._trials, num_records=self._num_records, goals=self._goals),
            joined_epochs(self._epochs, num_records=self._num_records),
        )
