"""CPU cores that a worker has to itself: the cores by NUMA node, and the locks that keep other workers off them.

Ray counts CPUs and assigns none in particular. Workers of one user agree among themselves: each core has a file in a
folder of the node, locked by the process that the core belongs to. The kernel unlocks it when that process dies, in
whatever way.
"""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_SYSTEM = Path("/sys/devices/system")
_THREADS = Path("/proc/self/task")


def parse_cores(text: str) -> list[int]:
    """Returns the numbers in a list as the kernel writes it.

    >>> parse_cores("0-2,8,10-11")
    [0, 1, 2, 8, 10, 11]
    """
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores


def cores_in_words(cores: Iterable[int]) -> str:
    """Returns numbers as the kernel writes them.

    >>> cores_in_words([0, 1, 2, 8, 10, 11])
    '0-2,8,10-11'
    """
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and runs[-1][-1] == core - 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def numa_nodes(*, allowed: Iterable[int] | None = None, system: Path = _SYSTEM) -> list[list[int]]:
    """Returns the cores that this process may run on by NUMA node, in the order in which they are best taken.

    A core's second hardware thread comes after all first ones: two workers on one core would halve each other.

    Args:
        allowed: None: those of this process's affinity, which respects a container's set of CPUs.
        system: The kernel's folder of devices.
    """
    mine = set(os.sched_getaffinity(0) if allowed is None else allowed)
    nodes = []
    for path in sorted(
        system.glob("node/node[0-9]*/cpulist"), key=lambda path: int(path.parent.name.removeprefix("node"))
    ):
        with suppress(OSError):
            nodes.append([core for core in parse_cores(path.read_text(encoding="ascii")) if core in mine])
    unknown = mine - {core for node in nodes for core in node}
    # Cores of no known node form one more: all are equally near.
    found = [node for node in [*nodes, list(unknown)] if node]
    return [sorted(node, key=lambda core: (_hardware_thread(core, system), core)) for node in found]


def chosen_cores(free: Sequence[Sequence[int]], count: int) -> list[int]:
    """Returns so many of the free cores by NUMA node: of one node where they fit, of the emptiest; [] if too few.

    >>> chosen_cores([[1], [4, 5, 6]], 2), chosen_cores([[1], [4, 5]], 3), chosen_cores([[1]], 2)
    ([4, 5], [4, 5, 1], [])
    """
    by_room = [core for node in sorted(free, key=len, reverse=True) for core in node]
    return by_room[:count] if len(by_room) >= count else []


class CoreLocks:
    """The cores that this process holds, among all processes that use the same folder.

    Args:
        folder: On this node, of this user alone; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: File descriptors by core. Not inherited by programs that this process starts.
        self._locks: dict[int, int] = {}

    @property
    def held(self) -> tuple[int, ...]:
        """The cores of this process, ascending."""
        return tuple(sorted(self._locks))

    def take(self, count: int, *, nodes: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Returns so many cores that no other process holds, and holds them until it ends; () if too few are free.

        Args:
            nodes: The cores to choose from, as `numa_nodes` returns them.

        Raises:
            OSError: The folder cannot be used, or is another user's.
        """
        with self._alone():
            free = [[core for core in node if self._lock(core)] for node in nodes]
            chosen = chosen_cores(free, count)
            self.release(except_for=chosen)
        return tuple(sorted(chosen))

    def release(self, *, except_for: Iterable[int] = ()) -> None:
        """Unlocks the cores of this process, but for some."""
        for core in set(self._locks) - set(except_for):
            os.close(self._locks.pop(core))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from choosing meanwhile: two that each held half of the free cores would both fail."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.is_symlink() or self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to another user")
        chooser = os.open(self._folder / "choosing", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(chooser, fcntl.LOCK_EX)
            yield
        finally:
            os.close(chooser)

    def _lock(self, core: int) -> bool:
        if core in self._locks:
            return True
        file = os.open(self._folder / f"core-{core}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._locks[core] = file
        return True


def locks_folder() -> Path:
    """Returns the folder of the cores' locks of this user, the same for all studies on this machine."""
    return Path(tempfile.gettempdir()) / f"convfleet-cores-{os.getuid()}"


_own = CoreLocks(locks_folder())


def own_cores() -> tuple[int, ...]:
    """Returns the cores that this process is pinned to; () if it is not pinned."""
    return _own.held


def pin_process(cpus: float) -> tuple[int, ...]:
    """Pins this process to as many cores of its own as its share of CPUs, and returns them.

    A share that is no whole number, or too few free cores, leave the process as it is; a later call may succeed, since
    the worker that this one replaces may be about to end. A pinned process keeps its cores.
    """
    if own_cores() or cpus < 1 or cpus != int(cpus):
        return own_cores()
    try:
        cores = _own.take(int(cpus), nodes=numa_nodes())
        if cores:
            set_affinity(cores)
    except OSError as exc:
        # An unpinned process computes the same numbers.
        _own.release()
        logger.warning('cores unpinned reason="%s"', exc)
    logger.info("cores=%s", cores_in_words(own_cores()) or "any")
    return own_cores()


def set_affinity(cores: Iterable[int]) -> None:
    """Keeps every thread of this process on these cores, and so those that they start."""
    for thread in _THREADS.iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def _hardware_thread(core: int, system: Path) -> int:
    """Returns which of its physical core's hardware threads this is, from 0."""
    try:
        path = system / f"cpu/cpu{core}/topology/thread_siblings_list"
        siblings = parse_cores(path.read_text(encoding="ascii"))
    except OSError:
        return 0
    return siblings.index(core) if core in siblings else 0
