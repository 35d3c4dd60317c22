"""Whether the hardware of a trial computes in a precision; no other one silently takes its place."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from trainables.errors import InfeasibleError
from trainables.specs.worker import DeviceSpec

#: Any of these among a CPU's flags means that it multiplies in bfloat16.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
#: The first NVIDIA GPUs with bfloat16: Ampere, compute capability 8.0.
_BFLOAT16_CAPABILITY = (8, 0)
_CPU_INFO = Path("/proc/cpuinfo")


def demand_precision(precision: str, device: DeviceSpec) -> None:
    """Refuses a precision that this trial's hardware would only imitate.

    Raises:
        InfeasibleError: The hardware lacks it; the message says what to use.
    """
    if precision == "mixed_float16" and not device.gpus:
        raise InfeasibleError(
            "precision 'mixed_float16' needs a GPU, got a trial without one: a CPU only imitates it, slowly; set "
            "resources.gpus_per_trial, or use mixed_bfloat16 or float32"
        )
    if precision == "mixed_bfloat16":
        has_it: Callable[[], bool] = _gpus_have_bfloat16 if device.gpus else _cpu_has_bfloat16
        if not has_it():
            what = "GPU (compute capability 8.0 or more)" if device.gpus else "CPU (avx512_bf16, amx_bf16 or bf16)"
            raise InfeasibleError(
                f"precision 'mixed_bfloat16' needs a {what}, this node's does not have it and would only imitate it; "
                "use float32"
            )


def _cpu_has_bfloat16() -> bool:
    try:
        return not _BFLOAT16_FLAGS.isdisjoint(_CPU_INFO.read_text(encoding="utf-8").split())
    except OSError:
        # Not a Linux. Apple's processors have it since M2, but macOS has no such file.
        return False


def _gpus_have_bfloat16() -> bool:
    gpus = tf.config.list_physical_devices("GPU")
    found = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return bool(found) and min(found) >= _BFLOAT16_CAPABILITY
