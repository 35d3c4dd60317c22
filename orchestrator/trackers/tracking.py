"""Sends a run's events to a tracker: from where an earlier call got to, each event once."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.file import Place, read_journal
from orchestrator.journal.records import StudyOpened, record_to_json
from orchestrator.runs.foreign_files import refuse_link
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers.cursor import Cursor, read_cursor, write_cursor
from orchestrator.trackers.events import Scalars
from orchestrator.trackers.followed import TIME, FollowedJournal
from orchestrator.trackers.tracker import TrackedRun, Tracker
from search_spaces import SearchSpace, nearest

#: So many records go out before it is written how far the tracker is. A call that was killed sent no more than these
#: after that, so the next call doubts as many.
RECORDS_A_STEP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerFacts:
    """What is known of a tracker before it is imported.

    Attributes:
        make: Imports it, and returns it for a run.
        package: What it needs.
        environment: Variables that keep it from sending what it was not asked to, and from waiting for minutes for a
            server that is away, unless the user sets them.
        seconds: How long a follower waits between two looks.
    """

    make: Callable[[TrackedRun], Tracker]
    package: str
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 2.0


def _tensorboard(run: TrackedRun) -> Tracker:
    # Late: an extra, which this tracker alone needs; likewise below.
    from orchestrator.trackers.tensorboard import TensorBoard

    return TensorBoard(run)


def _mlflow(run: TrackedRun) -> Tracker:
    from orchestrator.trackers.mlflow import Mlflow

    return Mlflow(run)


def _wandb(run: TrackedRun) -> Tracker:
    from orchestrator.trackers.wandb import WeightsAndBiases

    return WeightsAndBiases(run)


TRACKERS: Mapping[str, TrackerFacts] = {
    "tensorboard": TrackerFacts(make=_tensorboard, package="tensorboard"),
    "mlflow": TrackerFacts(
        make=_mlflow,
        package="mlflow",
        environment={"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"},
        seconds=5.0,
    ),
    "wandb": TrackerFacts(make=_wandb, package="wandb", environment={"WANDB_ERROR_REPORTING": "false"}, seconds=60.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerProgress:
    """How far a tracker is.

    Attributes:
        tracker: Its name.
        place: Where the events are.
        records: How many records of the journal it has.
        new_records: How many of them this call sent.
        new_epochs: How many epochs' numbers were among them.
        next_step: How the user sees the run, as a command or an address; may be empty.
    """

    tracker: str
    place: str
    records: int
    new_records: int
    new_epochs: int
    next_step: str


def tracker_problem(name: str) -> str:
    """Returns what is wrong with the name of a tracker; an empty text if nothing is.

    >>> tracker_problem("tensorboard"), tracker_problem("mlfow")
    ('', "must be one of tensorboard, mlflow, wandb, got 'mlfow'; did you mean 'mlflow'?")

    Args:
        name: As a user wrote it.
    """
    if name not in TRACKERS:
        return f"must be one of {', '.join(TRACKERS)}, got {name!r}{nearest(name, TRACKERS)}"
    found = find_spec(TRACKERS[name].package)
    # A folder of that name, such as that of event files, is no package.
    if found is None or found.origin is None:
        return f"{name!r} needs {TRACKERS[name].package}, which is not installed; pip install 'convfleet[{name}]'"
    return ""


class Tracking:
    """A run whose events go to a tracker.

    Args:
        folder: The run folder; its journal has a record.
        tracker: The tracker's name.
        space: The study's; None where it cannot be read any more.
        to: The folder that the user names for event files; None: the tracker's own place.

    Raises:
        OrchestratorError: If the tracker, or what an earlier call wrote, cannot be opened.
    """

    def __init__(
        self, folder: RunFolder, *, tracker: str, space: SearchSpace | None = None, to: Path | None = None
    ) -> None:
        for path in (folder.trackers, folder.tensorboard):
            refuse_link(path)
        self._folder = folder
        self._name = tracker
        cursor = read_cursor(folder, tracker=tracker)
        for name, value in TRACKERS[tracker].environment.items():
            os.environ.setdefault(name, value)
        header = _first_record(folder)
        self._tracker = TRACKERS[tracker].make(
            TrackedRun(folder=folder, header=header, key=run_key(header), space=space, to=to, ids=cursor.ids)
        )
        self._journal = FollowedJournal(folder)
        is_known = cursor.place == self._tracker.place and self._tracker.has_run() and self._skip_to(cursor.after)
        if is_known:
            self._after, self._doubted_bytes = cursor.after, cursor.doubted_bytes
        else:
            # The first call, another place, a place that was emptied, or a journal that was repaired: whatever the
            # place has of the run, no cursor says.
            self._journal, self._after = FollowedJournal(folder), Place()
            self._doubted_bytes = max(folder.journal.stat().st_size, cursor.after.offset, cursor.doubted_bytes)
        self._doubted_records = self._after.number + RECORDS_A_STEP
        self._num_new = self._num_epochs = 0

    def catch_up(self) -> TrackerProgress:
        """Sends what the tracker lacks, and returns how far it is then.

        Raises:
            OrchestratorError: If the tracker does not take the events, or the journal is damaged. This object is of no
                more use then; another one goes on.
        """
        new = self._journal.new()
        while step := list(islice(new, RECORDS_A_STEP)):
            first, events = step[0][0], [event for _, found in step for event in found]
            in_doubt = first.number <= self._doubted_records or first.offset <= self._doubted_bytes
            self._tracker.send(events, in_doubt=in_doubt)
            self._after = step[-1][0]
            cursor = Cursor(
                after=self._after,
                doubted_bytes=self._doubted_bytes,
                place=self._tracker.place,
                ids=dict(self._tracker.ids),
            )
            write_cursor(self._folder, cursor, tracker=self._name)
            self._num_new += len(step)
            self._num_epochs += sum(
                isinstance(event, Scalars) and f"{TIME}train_seconds" in event.values for event in events
            )
        return self._progress()

    def _skip_to(self, after: Place) -> bool:
        """Reads the records that the tracker has; returns whether the journal has them as they were."""
        for place, events in self._journal.new():
            self._tracker.recall(events)
            if place.number == after.number:
                return place == after
        return False

    def _progress(self) -> TrackerProgress:
        return TrackerProgress(
            tracker=self._name,
            place=self._tracker.place,
            records=self._after.number,
            new_records=self._num_new,
            new_epochs=self._num_epochs,
            next_step=self._tracker.next_step(),
        )


def run_key(header: StudyOpened) -> str:
    """Returns what names a run in trackers: it follows from the first record of the journal, which has its time.

    Args:
        header: That record.
    """
    text = json.dumps(record_to_json(header), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _first_record(folder: RunFolder) -> StudyOpened:
    record = next(read_journal(folder.journal), None)
    if not isinstance(record, StudyOpened):
        raise JournalError(f"{folder.journal}: does not begin with the study; restore it from a backup")
    return record
