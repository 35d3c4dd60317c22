"""Who holds a run: the driver at work, in `.driver.json` of the run folder and in the heartbeat of a storage.

That driver writes both files whole, anew with each heartbeat, and removes them at its clean end.
"""

import json
import logging
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.runs.paths import RunFolder
from orchestrator.text import duration
from trainables.files.whole import write_whole
from trainables.machine.processes import BOOT_ID, process_started_at

logger = logging.getLogger(__name__)

#: How often a driver writes its heartbeat.
HEARTBEAT_SECONDS = 10.0
#: A driver on another machine whose last heartbeat is older counts as dead.
LIMIT_SECONDS = 60.0
_LONGEST_FILE_BYTES = 100_000
#: Fields that only the heartbeat of a storage holds.
_STORAGE_FIELDS = ("run_token", "folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The driver that holds a run, as it describes itself.

    Attributes:
        token: Its alone.
        host: Its machine's name.
        boot: The system it runs in, see `BOOT_ID`.
        pid: Its process.
        process_started_at: When that process started, in ticks since the system did; distinguishes it from a later
            process of the same number.
        command: What the user typed.
        since: When it took the run, seconds since 1970 by its clock.
        heartbeat: When it was last alive, by its clock.
        run_token: What the run folder's drivers have in common, who follow each other because the folder's own lock is
            theirs. The heartbeat of a storage has this, `folder`, `host`, `pid` and `heartbeat`, and no other field.
        folder: The run folder on its machine; empty in the run folder's own file, like `run_token`.
    """

    token: str = ""
    host: str
    boot: str = ""
    pid: int
    process_started_at: int = 0
    command: Sequence[str] = ()
    since: float = 0.0
    heartbeat: float = 0.0
    run_token: str = ""
    folder: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it runs or ran in the system of this process, whose lock then shows whether it is alive."""
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
        """Returns a JSON-ready mapping for the run folder."""
        found = {name: value for name, value in asdict(self).items() if name not in _STORAGE_FIELDS}
        return {**found, "command": list(self.command)}

    @property
    def identity(self) -> tuple[str, str, str]:
        """What distinguishes drivers that may work on one run of a storage at the same time; no process number."""
        return self.run_token, self.host, self.folder

    @property
    def folder_in_words(self) -> str:
        """Its process, machine and run folder."""
        return f"process {self.pid} on {self.host}, in {self.folder}"

    def to_heartbeat(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping for the storage."""
        return {
            "owner": self.run_token,
            "host": self.host,
            "folder": self.folder,
            "pid": self.pid,
            "at": self.heartbeat,
        }


def this_driver(*, now: float) -> Owner:
    """Returns this process as the owner of a run."""
    return Owner(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        boot=BOOT_ID,
        pid=os.getpid(),
        process_started_at=process_started_at(os.getpid()),
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        since=now,
        heartbeat=now,
    )


def owner_of_heartbeat(data: bytes) -> Owner | None:
    """Returns the owner that the heartbeat of a storage names; None if the heartbeat cannot be read."""
    try:
        raw = json.loads(data)
        return Owner(
            host=str(raw["host"]),
            pid=int(raw["pid"]),
            heartbeat=float(raw.get("at", 0.0)),
            run_token=str(raw["owner"]),
            folder=str(raw["folder"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


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
    """Writes the owner file whole; the study goes on if the disk refuses it."""
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
