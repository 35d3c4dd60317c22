"""Exports in worker processes: TensorFlow stays out of the driver, and exports run side by side, on CPUs alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ray.exceptions import RayError, RayTaskError

from orchestrator.cluster.processes import FollowUp, LostProcessError, TaskAnswer, answers
from orchestrator.errors import ExportError
from orchestrator.sharing.bringing import brought
from orchestrator.sharing.handing import Made, made_for
from trainables.errors import LostCheckpointError, ModelExportError
from trainables.specs.export import ExportRequest, ExportResult
from trainables.specs.worker import WorkerSpec


class CheckpointLostError(ExportError):
    """An export whose checkpoint is missing or damaged; the trial may be trained again.

    Args:
        message: What is lost.
        trial: The trial.
    """

    def __init__(self, message: str, *, trial: str) -> None:
        super().__init__(message)
        self.trial = trial


def run_exports(requests: Sequence[ExportRequest]) -> Iterator[ExportResult | ExportError | None]:
    """Yields each export, or why it failed, as soon as the run folder has it, and None while none is ready.

    Args:
        requests: What to export.
    """
    return run_in_workers(_export, requests, follow_up=brought)


def run_in_workers(
    function: Callable[[Any], Any],
    requests: Sequence[Any],
    *,
    has_gpus: bool = False,
    follow_up: FollowUp | None = None,
) -> Iterator[Any]:
    """Yields what a function returns for each request, or an ExportError, as `run_exports` does.

    Args:
        function: A function of a module, called in worker processes.
        requests: Each with `trial`, a name for messages, and `worker`, whose share of CPUs a process gets.
        has_gpus: Whether a process gets that share of GPUs as well.
        follow_up: What is done with each value while its process still waits; `brought` where values are `Made`.
    """
    if not requests:
        return
    cpus = max(request.worker.device.cpus for request in requests)
    gpus = max(request.worker.device.gpus for request in requests) if has_gpus else 0.0
    for answer in answers(function, requests, cpus=cpus, gpus=gpus, follow_up=follow_up):
        yield None if answer is None else _outcome(answer)


def _export(request: ExportRequest) -> Made:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.exporting.export import export_model

    def make(folder: str, worker: WorkerSpec) -> ExportResult:
        return replace(export_model(replace(request, folder=folder, worker=worker)), folder=request.folder)

    return made_for(request.folder, worker=request.worker, make=make)


def _outcome(answer: TaskAnswer) -> Any:
    if answer.error is None:
        return answer.value
    lines = str(answer.error).strip().splitlines()
    kind, first = type(answer.error).__name__, lines[0] if lines else ""
    if isinstance(answer.error, LostCheckpointError):
        return CheckpointLostError(str(answer.error), trial=answer.request.trial)
    if isinstance(answer.error, ModelExportError):
        return ExportError(str(answer.error))
    if isinstance(answer.error, LostProcessError):
        return ExportError(
            f"{answer.request.trial}: the node that had its files was lost before the driver had them, three times "
            f"({first}); run the same command again"
        )
    if isinstance(answer.error, RayError) and not isinstance(answer.error, RayTaskError):
        return ExportError(
            f"{answer.request.trial}: the export's worker process died ({first or kind}); run the same command again"
        )
    return ExportError(f"{answer.request.trial}: the export failed ({kind}: {first})")
