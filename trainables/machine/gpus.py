"""The memory of GPUs: how much there is, what a share of one may take, how many trials fit on one; no TensorFlow."""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping

#: What a process takes of a GPU besides TensorFlow's own pool, MiB: CUDA's context and the code of its libraries.
CONTEXT_MIB = 600
#: What fragmentation and the workspaces of convolutions add to the arrays of a training step.
MARGIN = 1.3
#: Trials that share a GPU at most: each takes its turn, and beyond some they only wait for each other.
MOST_ON_A_GPU = 16
#: What to do where GPUs are there and TensorFlow sees none of them.
GPU_ADVICE = "install CUDA's libraries with: python -m pip install '.[gpu]', and see `convfleet doctor`"
_QUERY = ("--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_TIMEOUT_SECONDS = 30


def gpu_memory_mib() -> dict[str, int]:
    """Returns the memory of this machine's GPUs in MiB, by index and, again, by uuid; {} where none can be asked."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return {}
    try:
        asked = [command, *_QUERY]
        message = subprocess.run(asked, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, int] = {}
    for line in message.splitlines():
        index, _, rest = line.partition(",")
        uuid, _, memory = rest.partition(",")
        # Some devices, such as parts of a GPU, answer "[N/A]".
        if memory.strip().isdigit():
            found |= {index.strip(): int(memory), uuid.strip(): int(memory)}
    return found


def visible_memory_mib(memory: Mapping[str, int], *, environment: Mapping[str, str] | None = None) -> int | None:
    """Returns the memory of the smallest GPU that this process sees, in MiB; None where that is not known.

    Args:
        memory: See `gpu_memory_mib`.
    """
    variables = os.environ if environment is None else environment
    names = [name.strip() for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if any(name.startswith("MIG-") for name in names):
        # A part of a GPU, of which nvidia-smi tells the whole.
        return None
    is_by_uuid = all(name.startswith("GPU-") for name in names)
    if not names or (not is_by_uuid and variables.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID"):
        # CUDA counts the fastest first, nvidia-smi by slot: which is which cannot be told from numbers.
        return min(memory.values(), default=None)
    # CUDA takes the beginning of a uuid for all of it.
    found = [[memory[key] for key in memory if key == name or (is_by_uuid and key.startswith(name))] for name in names]
    return min(min(mib) for mib in found) if all(found) else None


def share_limit_mib(share: float, *, total_mib: int) -> int:
    """Returns what TensorFlow may take for a trial with this share of a GPU, in MiB.

    What CUDA takes for the process comes out of the share, as long as half of the share is left: a study may ask for
    smaller ones than fit.

    >>> share_limit_mib(0.25, total_mib=16_000), share_limit_mib(0.25, total_mib=4_000)
    (3400, 500)
    """
    part = share * total_mib
    return int(max(part - CONTEXT_MIB, part / 2))


def largest_packing(step_mib: float, *, total_mib: int, most: int = MOST_ON_A_GPU) -> int:
    """Returns how many trials fit on a GPU with what CUDA takes for each, at least 1.

    >>> largest_packing(1_000, total_mib=16_000), largest_packing(1_000, total_mib=16_000, most=4)
    (8, 4)
    >>> largest_packing(40_000, total_mib=16_000)
    1

    Args:
        step_mib: What a training step of the largest variant needs.
        most: How many are of any use.
    """
    fitting = []
    for count in range(1, max(1, min(most, MOST_ON_A_GPU)) + 1):
        limit = share_limit_mib(share_of(count), total_mib=total_mib)
        # TensorFlow takes all of its limit at once, and CUDA's part comes on top.
        if step_mib * MARGIN <= limit <= share_of(count) * total_mib - CONTEXT_MIB:
            fitting.append(count)
    return max(fitting, default=1)


def share_of(count: int) -> float:
    """Returns the share of each of so many trials on a GPU, in Ray's four decimal places and never too much.

    >>> share_of(1), share_of(3), share_of(4)
    (1.0, 0.3333, 0.25)
    """
    return math.floor(10_000 / count) / 10_000
