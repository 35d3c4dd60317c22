"""Asks a child process how much memory variants need, so that the caller does not import TensorFlow."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces import Variant
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress
from trainables.specs.dataset import DatasetInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMemory:
    """The memory that a training step of the largest variant needs.

    Args:
        mib: In MiB; infinite if it did not fit, 0 if none of the variants could be trained.
        is_measured: Whether it was measured on a GPU; else it was counted from shapes.
    """

    mib: float
    is_measured: bool


def probe_in_process(
    variants: Sequence[Variant],
    *,
    dataset: DatasetInfo,
    limits: Mapping[str, float],
    study_dir: str,
    on_progress: OnProgress,
) -> StepMemory:
    """Returns the largest need of some variants, from a child process; see `largest_step_mib`.

    Raises:
        DataError: The child process crashed.
    """
    request = {
        "variants": [variant.to_json() for variant in variants],
        "dataset": dataset.to_json(),
        "limits": dict(limits),
        "study_dir": study_dir,
    }
    what = "resources.gpus_per_trial: the process that tries how much memory variants need"
    mib, is_measured = ask_child("trainables.worker.memory_probe", request, what=what, on_progress=on_progress)
    return StepMemory(mib=float(mib), is_measured=is_measured)


def main() -> int:
    """Answers one request of `probe_in_process`."""
    return answer_caller(_probe)


def _probe(request: Any, progress: OnProgress) -> Any:
    # Late: this module is also the caller's, and TensorFlow is heavy.
    from trainables.training.step_memory import largest_step_mib

    return largest_step_mib(
        [Variant.from_json(variant) for variant in request["variants"]],
        dataset=DatasetInfo.from_json(request["dataset"]),
        limits=request["limits"],
        study_dir=request["study_dir"],
        progress=progress,
    )


if __name__ == "__main__":
    sys.exit(main())
