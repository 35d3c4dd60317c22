"""What the last session of a study spent its wall time on, from the command to its end."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.wall_clock import RAY_END, ClockPart, kept_spans

COMMAND, FIRST, TRIALS, EXPORTS = (
    "the command and the study are read",
    "to the first report",
    "from the first report to the last",
    "models are exported",
)
#: A process that began so long before its study, such as a notebook's, has done other things in between.
_LONGEST_START = 60.0
#: Less is what rounding leaves.
_LEAST = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class WallPart:
    """A part of a session; several may pass at the same time.

    Attributes:
        name: What happens in it.
        begin: Seconds from the begin of the command.
        end: Likewise.
    """

    name: str
    begin: float
    end: float


def wall_parts(state: StudyState, *, folder: RunFolder) -> list[WallPart]:
    """Returns the parts of the last session by their begins; none for runs of versions that kept nothing of it.

    Args:
        state: The study.
        folder: Its run folder, whose environment.json has what the driver noted.
    """
    process_began_at, noted = kept_spans(folder)
    if not noted or not state.sessions:
        return []
    session = state.sessions[-1]
    first = min(*(span.began_at for span in noted), session.began_at or session.at)
    is_own_process = 0 <= first - process_began_at <= _LONGEST_START
    origin = process_began_at if is_own_process else first
    until = next((span.began_at for span in noted if span.name == RAY_END), math.inf)
    spans = [ClockPart(name=COMMAND, began_at=origin, ended_at=first), *noted, *_of_journal(state, session.at, until)]
    parts = [WallPart(name=span.name, begin=span.began_at - origin, end=span.ended_at - origin) for span in spans]
    return sorted((part for part in parts if part.end - part.begin > _LEAST), key=lambda part: (part.begin, part.end))


def _of_journal(state: StudyState, since: float, until: float) -> Iterator[ClockPart]:
    """Yields the parts that follow from the journal's own times, from a session's begin to its last moment with Ray."""
    reported = [at for trial in list(state.trials.values()) for at in list(trial.reported_at) if at >= since]
    last = max(reported, default=since)
    if reported:
        yield ClockPart(name=FIRST, began_at=since, ended_at=min(reported))
        yield ClockPart(name=TRIALS, began_at=min(reported), ended_at=last)
    ends = [*(item.at for item in state.exports), *(item.at for item in state.ensembles.values())]
    # What was exported later was so by another command.
    made = [at for at in ends if last <= at <= until]
    if made:
        yield ClockPart(name=EXPORTS, began_at=last, ended_at=max(made))
