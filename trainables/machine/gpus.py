"""GPUs: the size of their memory, the limit of a share, how many trials fit on one, what they are at; no TensorFlow."""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

#: MiB of a GPU that a process takes besides TensorFlow's own pool: CUDA's context and the code of its libraries, 625
#: on an H200; the rest is room for the driver's own memory, 616 of it there, which `nvidia-smi` counts in the total.
CONTEXT_MIB = 1024
#: Factor for what fragmentation and the workspaces of convolutions add to the arrays of a training step.
MARGIN = 1.3
#: Trials that share a GPU at most: they take turns, and beyond some they only wait for each other.
MOST_ON_A_GPU = 16
#: What to do if TensorFlow sees none of the machine's GPUs.
GPU_ADVICE = "install CUDA's libraries with: python -m pip install '.[gpu]', and see `convfleet doctor`"
_QUERY = ("--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
#: The name comes last: it may have a comma.
_USE_QUERY = ("--query-gpu=index,utilization.gpu,memory.used,memory.total,name", "--format=csv,noheader,nounits")
_NUM_USE_NUMBERS = 3
_TIMEOUT_SECONDS = 30


def gpu_memory_mib() -> dict[str, int]:
    """Returns the memory of this machine's GPUs in MiB, by index and by uuid; {} if nvidia-smi does not answer."""
    found: dict[str, int] = {}
    for line in (_answer_of(_QUERY) or "").splitlines():
        index, _, rest = line.partition(",")
        uuid, _, memory = rest.partition(",")
        # Some devices, such as parts of a GPU, answer "[N/A]".
        if memory.strip().isdigit():
            found |= {index.strip(): int(memory), uuid.strip(): int(memory)}
    return found


def visible_memory_mib(memory: Mapping[str, int], *, environment: Mapping[str, str] | None = None) -> int | None:
    """Returns the memory of the smallest GPU that this process sees, in MiB; None if that is not known.

    Args:
        memory: As `gpu_memory_mib` returns it.
    """
    variables = os.environ if environment is None else environment
    names = [name.strip() for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if any(name.startswith("MIG-") for name in names):
        # A part of a GPU; nvidia-smi reports the whole.
        return None
    is_by_uuid = all(name.startswith("GPU-") for name in names)
    if not names or (not is_by_uuid and variables.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID"):
        # CUDA counts the fastest first, nvidia-smi by slot: their numbers do not name the same GPUs.
        return min(memory.values(), default=None)
    # CUDA accepts the beginning of a uuid.
    found = [[memory[key] for key in memory if key == name or (is_by_uuid and key.startswith(name))] for name in names]
    return min(min(mib) for mib in found) if all(found) else None


def share_limit_mib(share: float, *, total_mib: int) -> int:
    """Returns what TensorFlow may take for a trial with this share of a GPU, in MiB.

    CUDA's own memory of the process comes out of the share, as long as half of the share is left: a study may ask for
    smaller shares than fit.

    >>> share_limit_mib(0.25, total_mib=16_000), share_limit_mib(0.25, total_mib=4_000)
    (2976, 500)
    """
    part = share * total_mib
    return int(max(part - CONTEXT_MIB, part / 2))


def largest_packing(step_mib: float, *, total_mib: int, most: int = MOST_ON_A_GPU) -> int:
    """Returns how many trials fit on a GPU with CUDA's own memory of each, at least 1.

    >>> largest_packing(1_000, total_mib=16_000), largest_packing(1_000, total_mib=16_000, most=4)
    (6, 4)
    >>> largest_packing(40_000, total_mib=16_000)
    1

    Args:
        step_mib: The need of a training step of the largest variant.
        most: The most that are of use.
    """
    fitting = []
    for count in range(1, max(1, min(most, MOST_ON_A_GPU)) + 1):
        limit = share_limit_mib(share_of(count), total_mib=total_mib)
        # TensorFlow takes all of its limit at once, and CUDA's own memory is added to it.
        if step_mib * MARGIN <= limit <= share_of(count) * total_mib - CONTEXT_MIB:
            fitting.append(count)
    return max(fitting, default=1)


def share_of(count: int) -> float:
    """Returns the share of each of so many trials on a GPU, in Ray's four decimal places and never too much.

    >>> share_of(1), share_of(3), share_of(4)
    (1.0, 0.3333, 0.25)
    """
    return math.floor(10_000 / count) / 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """What a GPU of this machine is at.

    Attributes:
        index: Its number, as `nvidia-smi` counts.
        name: Such as NVIDIA H200.
        busy_percent: For how much of the last second or less it worked; None: the driver does not say.
        used_mib: Its memory in use; None likewise.
        total_mib: All of its memory; None likewise.
    """

    index: int
    name: str
    busy_percent: int | None
    used_mib: int | None
    total_mib: int | None


def gpu_use() -> list[GpuUse] | None:
    """Returns what the GPUs of this machine are at; None if there is none, or nvidia-smi does not answer."""
    message = _answer_of(_USE_QUERY)
    found = [use for line in (message or "").splitlines() if (use := _use_of(line)) is not None]
    return found or None


def _use_of(line: str) -> GpuUse | None:
    parts = [part.strip() for part in line.split(",", _NUM_USE_NUMBERS + 1)]
    if len(parts) != _NUM_USE_NUMBERS + 2 or not parts[0].isdecimal():
        return None
    index, *numbers, name = parts
    # Some devices, such as parts of a GPU, answer "[N/A]".
    busy, used, total = (int(text) if text.isdecimal() else None for text in numbers)
    return GpuUse(index=int(index), name=name, busy_percent=busy, used_mib=used, total_mib=total)


def _answer_of(query: tuple[str, ...]) -> str | None:
    """Returns what nvidia-smi prints; None where it is not installed, or fails."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run([command, *query], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout
