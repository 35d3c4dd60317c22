"""Runs a command and measures what all of its processes take, daemons included (Linux).

The wall clock runs from the start of the command to the end of its first process, which is what a user waits for.

CPU seconds are those of the whole tree. Ray's daemons leave their parents; this process makes itself their
"subreaper", so that whatever the command started stays among its own descendants. Two counts are taken and the larger
one is told, because each misses something: `getrusage(RUSAGE_CHILDREN)` around the command misses processes that a
parent disowned (SIGCHLD ignored); adding up /proc/*/stat of all descendants, read every quarter of a second, misses the
last moments of each.
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.25
GRACE_SECONDS = 20.0
_PR_SET_CHILD_SUBREAPER = 36
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a command took.

    Args:
        wall_seconds: Until its first process ended, or was stopped.
        cpu_seconds: Of all its processes, user and system.
        exit_code: None: it was stopped, because `until` held or the limit was reached.
        started_at: Seconds since the epoch.
    """

    wall_seconds: float
    cpu_seconds: float
    exit_code: int | None
    started_at: float


def measure(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    limit_seconds: float,
    until: Callable[[], bool] = lambda: False,
    grace_seconds: float = GRACE_SECONDS,
) -> Measured:
    """Runs a command to its end, or until something holds or the time is up; nothing of it is left running.

    log: Gets what the command prints. grace_seconds: how long daemons may take to end by themselves after it.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    tree, before = _Tree(), _children_seconds()
    started_at, started = time.time(), time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        exit_code = _wait(process, tree, until=until, end=started + limit_seconds)
        wall = time.perf_counter() - started
    finally:
        tree.end(process, grace_seconds=grace_seconds if process.poll() is not None else 0.0)
    cpu = max(_children_seconds() - before, tree.cpu_seconds)
    return Measured(wall_seconds=wall, cpu_seconds=cpu, exit_code=exit_code, started_at=started_at)


def _wait(process: "subprocess.Popen[bytes]", tree: "_Tree", *, until: Callable[[], bool], end: float) -> int | None:
    poll, ended = select.poll(), os.pidfd_open(process.pid)
    poll.register(ended, select.POLLIN)
    try:
        while not poll.poll(SAMPLE_SECONDS * 1000):
            tree.sample()
            if until() or time.perf_counter() > end:
                return None
        return process.wait()
    finally:
        os.close(ended)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Tree:
    """The descendants of this process: their pids, and the CPU time of all that there ever were."""

    def __init__(self) -> None:
        #: Ticks by (pid, start time): a pid may be given to another process.
        self._ticks: dict[tuple[int, str], int] = {}
        #: Not ours, and never will be.
        self._strangers: set[int] = set()

    @property
    def cpu_seconds(self) -> float:
        return sum(self._ticks.values()) / _TICKS_A_SECOND

    def sample(self) -> list[int]:
        """Notes what every descendant has used so far and returns the pids of those that are at work."""
        pids = {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()}
        self._strangers &= pids
        stats = {pid: stat for pid in pids - self._strangers if (stat := _stat(pid))}
        parents = {pid: int(stat[1]) for pid, stat in stats.items()}
        alive = []
        for pid, stat in stats.items():
            is_ours = _is_descendant(pid, parents, strangers=self._strangers)
            if not is_ours:
                self._strangers.update({pid} if is_ours is False else ())
                continue
            self._ticks[pid, stat[19]] = int(stat[11]) + int(stat[12])
            if stat[0] != "Z":
                alive.append(pid)
        return alive

    def end(self, process: "subprocess.Popen[bytes]", *, grace_seconds: float) -> None:
        """Waits for what is left, ends what does not end by itself, and reaps all of it."""
        end = time.monotonic() + grace_seconds
        num_quiet = 0
        # Twice: what is forked while all are read is seen the next time.
        while num_quiet < 2:
            left = self.sample()
            num_quiet = 0 if left else num_quiet + 1
            self._reap(process)
            if time.monotonic() > end:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self._reap(process)

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        process.poll()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/<pid>/stat after the name, from the state on; nothing if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _is_descendant(pid: int, parents: Mapping[int, int], *, strangers: Set[int]) -> bool | None:
    """Returns whether a process comes from this one; None where a parent ended while all were read."""
    own, seen = os.getpid(), set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
        if pid == own:
            return True
    return False if pid in strangers or pid <= 1 else None
