"""What a tracker is: a place that takes a run's events, and can say which of them it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator.journal.records import StudyOpened
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers.events import Event
from search_spaces import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """The run that a tracker gets.

    Attributes:
        folder: The run folder.
        header: The first record of its journal.
        key: Names the run in trackers, the same for ever: it follows from the first record of the journal.
        space: The study's; None where the study file cannot be read any more.
        to: The folder that the user names for event files; None: the tracker's own place.
        ids: What an earlier call remembered, as `Tracker.ids`.
    """

    folder: RunFolder
    header: StudyOpened
    key: str
    space: SearchSpace | None = None
    to: Path | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


class Tracker(Protocol):
    """A place that takes events.

    What it cannot do, it raises as TrackerError. Events come in the order of the journal. A caller that does not know
    whether events have arrived sends them again, in doubt.
    """

    @property
    def place(self) -> str:
        """Where the events go; another place begins with nothing."""
        ...

    @property
    def ids(self) -> Mapping[str, str]:
        """The ids that a later call needs."""
        ...

    def has_run(self) -> bool:
        """Returns whether the place has anything of the run."""
        ...

    def recall(self, events: Sequence[Event]) -> None:
        """Takes note of events that arrived in earlier calls; sends nothing.

        Args:
            events: In the order of the journal.
        """
        ...

    def send(self, events: Sequence[Event], *, in_doubt: bool) -> None:
        """Sends events; they have arrived when it returns.

        Args:
            events: In the order of the journal.
            in_doubt: Whether some may have arrived already; what the place has is not sent again.
        """
        ...

    def next_step(self) -> str:
        """Returns how the user sees the run, as a command or an address; may be empty."""
        ...
