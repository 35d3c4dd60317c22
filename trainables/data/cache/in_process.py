"""Prepares a data set in a child process, so that neither TensorFlow nor the user's code enters the caller."""

import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from trainables.data.cache.dataset import open_dataset
from trainables.errors import DataError
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo, ImageStorage
from trainables.specs.worker import WorkerSpec


def prepare_in_process(
    spec: DataSpec,
    seed: int,
    *,
    storage: ImageStorage | None = None,
    verify: bool = False,
    on_progress: OnProgress | None = None,
) -> DatasetInfo:
    """Returns the data set that a child process prepared; see `prepare_dataset`.

    Raises:
        DataError: If the preparation fails; with the child's message, or its last lines of output if it crashed.
    """
    return prepare_folds_in_process(spec, seed, folds=(), storage=storage, verify=verify, on_progress=on_progress)[0]


def prepare_folds_in_process(  # noqa: PLR0913 - what `prepare_in_process` takes, and the folds
    spec: DataSpec,
    seed: int,
    *,
    folds: Sequence[int],
    storage: ImageStorage | None = None,
    verify: bool = False,
    on_progress: OnProgress | None = None,
) -> list[DatasetInfo]:
    """Returns the data set that a child process prepared, then the same with each of the folds; see `prepare_folds`.

    Raises:
        DataError: If the preparation fails; with the child's message, or its last lines of output if it crashed.
    """
    request = {"spec": spec.model_dump(mode="json"), "seed": seed, "storage": storage, "verify": verify}
    answer = ask_child(
        "trainables.data.cache.in_process",
        {**request, "folds": list(folds)},
        what="data: the process that prepares the data",
        on_progress=on_progress or no_progress,
    )
    return [DatasetInfo.from_json(item) for item in answer]


def insisted(spec: DataSpec) -> DataSpec:
    """Returns the spec for data that a run trains on already, whatever the look before training would refuse."""
    return spec.model_copy(update={"allow_overlap": True})


def dataset_on_this_node(spec: WorkerSpec) -> DatasetInfo:
    """Returns the study's data set on this node, decoding it first where the node has no whole entry.

    Raises:
        DataError: If the data on this node is not the driver's.
    """
    try:
        open_dataset(spec.dataset)
    except DataError:
        # This is another node than the driver's, or its cache was cleared or damaged. The driver's choice of storage
        # holds on every node, whatever its memory.
        local = _prepared_here(spec)
    else:
        return spec.dataset
    if local.fingerprint != spec.dataset.fingerprint:
        decoders = _others(local.decoders, spec.dataset.decoders)
        raise DataError(
            f"data: node {socket.gethostname()} read other images than the driver did (fingerprint "
            f"{local.fingerprint}, expected {spec.dataset.fingerprint}); give every node the same files at the same "
            f"paths{decoders}"
        )
    return local


def _prepared_here(spec: WorkerSpec) -> DatasetInfo:
    try:
        return prepare_in_process(insisted(spec.data), spec.split_seed, storage=spec.dataset.storage)
    except DataError as exc:
        raise DataError(
            f"node {socket.gethostname()}: {exc}; the driver has read this data: give every node the same files at the "
            "same paths"
        ) from exc


def _others(local: Mapping[str, str], driver: Mapping[str, str]) -> str:
    """Returns which decoders differ between this node and the driver, as the end of an error."""
    names = sorted(name for name in {*local, *driver} if local.get(name) != driver.get(name))
    differing = [f"{name} {local.get(name, 'missing')}, expected {driver.get(name, 'missing')}" for name in names]
    return f", and the driver's decoders: this node has {'; '.join(differing)}" if differing else ""


def main() -> int:
    """Answers one request of `prepare_in_process`."""
    return answer_caller(_prepare)


def _prepare(request: Any, progress: OnProgress) -> Any:
    # Late: the caller imports this module too, and the sources are slow to import.
    from trainables.data.cache.prepare import prepare_folds

    spec = DataSpec.model_validate(request["spec"])
    settings = {name: request[name] for name in ("folds", "storage", "verify")}
    return [info.to_json() for info in prepare_folds(spec, request["seed"], **settings, progress=progress)]


if __name__ == "__main__":
    sys.exit(main())
