"""Prepares a data set in a process of its own, so that neither TensorFlow nor users' code enters the caller."""

from __future__ import annotations

import sys
from typing import Any

from trainables.data.cache.dataset import DatasetInfo
from trainables.data.cache.storage_choice import Storage
from trainables.data.images.images import Progress, no_progress
from trainables.machine.child_process import answer_caller, ask_child
from trainables.specs.data import DataSpec


def prepare_in_process(
    spec: DataSpec,
    seed: int,
    *,
    storage: Storage | None = None,
    verify: bool = False,
    on_progress: Progress | None = None,
) -> DatasetInfo:
    """Returns the data set that a child process prepared; see `prepare_dataset`.

    Raises: DataError: with the child's message, or its last words if it crashed.
    """
    answer = ask_child(
        "trainables.data.cache.in_process",
        {"spec": spec.model_dump(mode="json"), "seed": seed, "storage": storage, "verify": verify},
        what="data: the process that prepares the data",
        on_progress=on_progress or no_progress,
    )
    return DatasetInfo.from_json(answer)


def main() -> int:
    """Answers one request of `prepare_in_process`."""
    return answer_caller(_prepare)


def _prepare(request: Any, progress: Progress) -> Any:
    # Late: this module is also the caller's, and the sources are heavy.
    from trainables.data.cache.prepare import prepare_dataset

    spec = DataSpec.model_validate(request["spec"])
    return prepare_dataset(
        spec, request["seed"], storage=request["storage"], verify=request["verify"], progress=progress
    ).to_json()


if __name__ == "__main__":
    sys.exit(main())
