"""Who holds a run folder: `.driver.json`, written whole by the driver at work and removed at its clean end."""

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from orchestrator.runs.paths import RunFolder
from orchestrator.text import duration
from trainables.files.whole import write_whole
from trainables.machine.processes import BOOT_ID
from trainables.machine.processes import process_started_at
from typing import Any
import json
import logging
import socket


logger = logging.getLogger(__name__)

_LONGEST_FILE_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The driver that holds a run folder, as it tells of itself.

    Args:
        token: Its alone.
        host: Its machine's name.
        boot: The system it runs in, see `BOOT_ID`.
        pid: Its process.
        process_started_at: When that process started, in ticks since the system did; tells it from a later process
            of the same number.
        command: What was typed.
        since: When it took the folder, seconds since 1970 by its clock.
        heartbeat: When it was last alive, by its clock.
    """

    token: str
    host: str
    boot: str
    pid: int
    process_started_at: int
    command: Sequence[str]
    since: float
    heartbeat: float

    @property
    def is_here(self) -> bool:
        """Whether it runs or ran in the very system that asks, so that the system's lock tells if it is alive."""
        if self.boot and BOOT_ID:
            return self.boot == BOOT_ID
        return self.host == socket.gethostname()

    @property
    def is_running(self) -> bool:
        """Whether its process, and no later one of the same number, is at work in this system."""
        started_at = process_started_at(self.pid) if self.is_here else 0
        return started_at != 0 and started_at == self.process_started_at

    @property
    def where(self) -> str:
        """Its machine and process."""
        return f"{self.host} (pid {self.pid})"

    def age(self, now: float) -> float:
        """Returns the seconds since its last heartbeat; below 0 where its clock is ahead."""
        return now - self.heartbeat

    def heard_in_words(self, *, now: float) -> str:
        """Returns when it was last heard of."""
        return f"{duration(max(0.0, self.age(now)))} ago"

    def in_words(self, *, now: float) -> str:
        """Returns who it is, since when it is at work, and when it was last heard of."""
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"host {self.host}, pid {self.pid}, since {since}, last heard of {self.heard_in_words(now=now)}"

    def heard_of(self, *, at: float) -> "Owner":
        """Returns the same owner with a newer heartbeat."""
        return replace(self, heartbeat=at)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return {**asdict(self), "command": list(self.command)}


def read_owner(folder: RunFolder) -> Owner | None:
    """Returns the owner that a run's folder names; None if it names none, or the file is damaged."""
    try:
        with folder.driver.open("rb") as file:
            raw = json.loads(file.read(_LONGEST_FILE_BYTES))
        since, heartbeat = float(raw["since"]), float(raw["heartbeat"])
        for at in (since, heartbeat):
            datetime.fromtimestamp(at, UTC)  # raises where no date is that far
        return Owner(
            token=str(raw["token"]),
            host=str(raw["host"]),
            boot=str(raw["boot"]),
            pid=int(raw["pid"]),
            process_started_at=int(raw["process_started_at"]),
            command=[str(word) for word in raw["command"]],
            since=since,
            heartbeat=heartbeat,
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def write_owner(folder: RunFolder, owner: Owner) -> None:
    """Writes the owner file whole; a disk that refuses it costs only the word, never the study."""
    try:
        write_whole(folder.driver, json.dumps(owner.to_json()))
    except OSError as exc:
        logger.warning('owner file not written reason="%s"', exc)


def forget_owner(folder: RunFolder) -> None:
    """Removes the owner file."""
    try:
        folder.driver.unlink(missing_ok=True)
    except OSError as exc:
        logger.warning('owner file not removed reason="%s"', exc)
