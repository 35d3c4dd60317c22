"""What the system knows of a process: its CPUs, its memory, its age, when it and this machine started."""

import os
import time
from pathlib import Path


def usable_cpus() -> int:
    """Returns how many CPUs this process may run on: those of a container or of `taskset`, not the machine's."""
    # Linux alone has the call.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_memory_mb() -> float | None:
    """Returns the memory of this process alone, in MB of 10^6 bytes, without pages of files; None where unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6
    except (OSError, StopIteration):
        return None


def process_age() -> float:
    """Returns the seconds since this process began; 0 where the system does not say."""
    ticks = _started_at("self")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def process_started_at(pid: int) -> int:
    """Returns when a process of this machine started, in ticks since the system did; 0 if that is not known.

    >>> process_started_at(0)
    0
    """
    return _started_at(str(pid))


def _started_at(process: str) -> int:
    try:
        # After the last ")", because a command's name, in parentheses, may hold anything; the start is the 22nd field.
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


#: Names the running system: equal in all containers of one machine, where they share its locks; empty if not known.
BOOT_ID = _boot_id()
