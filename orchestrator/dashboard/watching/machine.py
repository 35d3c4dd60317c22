"""What this machine is at now, from the kernel's own counters and those of its GPUs."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trainables.machine.gpus import GpuUse, gpu_use

#: How old an answer of nvidia-smi may be, which takes up to a second, and how much of the time it is asked at most.
_OLDEST_SECONDS, _RESTS_PER_QUESTION = 2.0, 9.0
#: How long a machine without a GPU is not asked again.
_WITHOUT_SECONDS = 60.0


def machine_now(root: Path = Path("/proc")) -> str:
    """Returns load, cores and free memory in words; what the system does not say is left out."""
    words = []
    with suppress(OSError):
        words.append(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    free, total = _memory(root / "meminfo")
    if total:
        words.append(f"{free / 1e9:.1f} of {total / 1e9:.1f} GB of memory free")
    return ", ".join(words) or "nothing is known"


class GpuWatch:
    """What this machine's GPUs are at, for all pages together; nvidia-smi is asked for a tenth of the time at most.

    Args:
        ask: Returns it; None: there is none.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self, *, ask: Callable[[], list[GpuUse] | None] = gpu_use, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._clock = ask, clock
        self._lock = threading.Lock()
        self._found: list[GpuUse] | None = None
        self._again_at = float("-inf")

    def now(self) -> list[GpuUse] | None:
        """Returns what the GPUs are at, as of a few seconds ago; on any thread, as the question takes long."""
        with self._lock:
            began = self._clock()
            if began >= self._again_at:
                self._found = self._ask()
                now = self._clock()
                least = _OLDEST_SECONDS if self._found is not None else _WITHOUT_SECONDS
                self._again_at = now + max(least, _RESTS_PER_QUESTION * (now - began))
            return self._found


def gpus_in_words(found: Sequence[GpuUse] | None) -> dict[str, str]:
    """Returns each GPU's use by its name.

    >>> gpus_in_words([GpuUse(index=0, name="NVIDIA H200", busy_percent=87, used_mib=20_480, total_mib=143_771)])
    {'GPU 0, NVIDIA H200': '87 % busy, 21.5 of 150.8 GB of memory in use'}
    >>> gpus_in_words([GpuUse(index=1, name="part", busy_percent=None, used_mib=None, total_mib=None)])
    {'GPU 1, part': 'its driver does not say'}
    >>> gpus_in_words(None)
    {}
    """
    return {f"GPU {gpu.index}, {gpu.name}": _gpu_in_words(gpu) for gpu in found or ()}


def _gpu_in_words(gpu: GpuUse) -> str:
    words = []
    if gpu.busy_percent is not None:
        words.append(f"{gpu.busy_percent} % busy")
    if gpu.used_mib is not None and gpu.total_mib is not None:
        words.append(f"{gpu.used_mib * 2**20 / 1e9:.1f} of {gpu.total_mib * 2**20 / 1e9:.1f} GB of memory in use")
    return ", ".join(words) or "its driver does not say"


def _memory(path: Path) -> tuple[float, float]:
    """Returns the free and the whole memory in bytes; zeros where they are not known."""
    try:
        found = dict(line.split(":", 1) for line in path.read_text("ascii").splitlines() if ":" in line)
        return tuple(1024.0 * float(found[name].split()[0]) for name in ("MemAvailable", "MemTotal"))  # type: ignore[return-value]
    except (OSError, ValueError, KeyError, IndexError):
        return 0.0, 0.0
