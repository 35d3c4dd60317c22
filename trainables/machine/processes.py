"""What the system knows of a process: its memory, its age, when it and this machine started."""

import os
import time
from pathlib import Path


def own_memory_mb() -> float | None:
    """Returns the memory of this process alone, in MB of 10^6 bytes, without pages of files; None where unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6
    except (OSError, StopIteration):
        return None


def process_age() -> float:
    """Returns the seconds since this process began; 0 where the system does not tell."""
    try:
        # The name, in parentheses, may hold spaces; the start is the 22nd field.
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


#: Names the running system: equal in all containers of one machine, where they share its locks; empty if not known.
BOOT_ID = _boot_id()


def process_started_at(pid: int) -> int:
    """Returns when a process of this machine started, in ticks since the system did; 0 if that is not known.

    >>> process_started_at(0)
    0
    """
    try:
        # After the last ")", because a command's name may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
