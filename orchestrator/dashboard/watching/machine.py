"""What this machine is at now, from the kernel's own counters."""

import os
from contextlib import suppress
from pathlib import Path


def machine_now(root: Path = Path("/proc")) -> str:
    """Returns load, cores and free memory in words; what the system does not say is left out."""
    words = []
    with suppress(OSError):
        words.append(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    free, total = _memory(root / "meminfo")
    if total:
        words.append(f"{free / 1e9:.1f} of {total / 1e9:.1f} GB of memory free")
    return ", ".join(words) or "nothing is known"


def _memory(path: Path) -> tuple[float, float]:
    """Returns the free and the whole memory in bytes; zeros where they are not known."""
    try:
        found = dict(line.split(":", 1) for line in path.read_text("ascii").splitlines() if ":" in line)
        return tuple(1024.0 * float(found[name].split()[0]) for name in ("MemAvailable", "MemTotal"))  # type: ignore[return-value]
    except (OSError, ValueError, KeyError, IndexError):
        return 0.0, 0.0
