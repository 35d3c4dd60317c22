"""What a command spends its wall time on: parts with a name, as the driver goes through them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.runs.environment_file import read_sessions
from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole
from trainables.machine.processes import process_age

DATA, RAY, RAY_END = "images are read", "Ray starts", "Ray ends"
REFERENCES, REPORT = "reference rows are waited for", "tables and report"
_KEY = "wall"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPart:
    """A part of a command; several may pass at the same time.

    Attributes:
        name: What happens in it.
        began_at: Seconds since 1970.
        ended_at: Likewise.
    """

    name: str
    began_at: float
    ended_at: float


class WallClock:
    """Notes when parts of a command begin and end; threads may share it.

    Args:
        now: Returns seconds since 1970.

    Attributes:
        process_began_at: When this process began, seconds since 1970.
        spans: The parts that have ended, in the order of their ends.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.process_began_at = now() - process_age()
        self.spans: list[ClockPart] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Notes when the block begins and ends, also where it fails."""
        began_at = self._now()
        try:
            yield
        finally:
            self.spans.append(ClockPart(name=name, began_at=began_at, ended_at=self._now()))

    def save(self, folder: RunFolder) -> None:
        """Keeps the parts with the last session of environment.json; where it cannot be read or written, nothing."""
        sessions = read_sessions(folder.environment)
        if not sessions or not isinstance(sessions[-1], dict):
            return
        wall = {"process_began_at": self.process_began_at, "parts": [asdict(span) for span in list(self.spans)]}
        sessions[-1] = {**sessions[-1], _KEY: wall}
        with suppress(OSError, ValueError):
            content = json.loads(folder.environment.read_text(encoding="utf-8"))
            write_whole(folder.environment, json.dumps({**content, "sessions": sessions}, indent=2))


def kept_spans(folder: RunFolder) -> tuple[float, list[ClockPart]]:
    """Returns when the process of the last session that kept its parts began, and those; 0 and none if none did.

    Sessions that only export keep none.
    """
    known = [session.get(_KEY) for session in read_sessions(folder.environment) or [] if isinstance(session, dict)]
    wall = next((wall for wall in reversed(known) if wall is not None), None)
    if not isinstance(wall, Mapping):
        return 0.0, []
    try:
        spans = [_span(item) for item in wall["parts"]]
        return float(wall["process_began_at"]), spans
    except (KeyError, TypeError, ValueError):
        return 0.0, []


def _span(item: Mapping[str, Any]) -> ClockPart:
    return ClockPart(name=str(item["name"]), began_at=float(item["began_at"]), ended_at=float(item["ended_at"]))
