"""Exports whose checkpoints are lost: their trials are trained once more up to the lost epoch, and exported then."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray

from orchestrator.errors import ExportError
from orchestrator.export.tasks import CheckpointLostError, run_in_workers
from orchestrator.journal.study_state import StudyState
from trainables.retraining.requests import RetrainingAnswer, RetrainingRequest
from trainables.sharing.own_folder import worker_on_this_node
from trainables.specs.export import ExportRequest, ExportResult

#: Takes requests and yields what became of them, as `run_exports` does.
RunExports = Callable[[Sequence[ExportRequest]], Iterator[ExportResult | ExportError | None]]


def export_all(
    requests: Sequence[ExportRequest],
    *,
    run: RunExports,
    state: StudyState,
    notify: Callable[[str], None],
    on_trained: Callable[[str, str], None],
) -> Iterator[ExportResult | ExportError | None]:
    """Yields each export, or why it failed, as `run_exports` does; lost checkpoints are trained again.

    Args:
        requests: What to export.
        run: Exports in worker processes.
        state: What the journal says.
        notify: Receives messages for the user.
        on_trained: Receives the name of a trial that was trained again, and a sentence about it.
    """
    lost: dict[str, CheckpointLostError] = {}
    for outcome in run(requests):
        if isinstance(outcome, CheckpointLostError):
            lost[outcome.trial] = outcome
        else:
            yield outcome
    of_lost = {request.trial: request for request in requests if request.trial in lost}
    if not of_lost:
        return
    notify(f"checkpoints of {', '.join(of_lost)} are lost: trained again up to them, which takes as long as then")
    found = []
    for answer in _trained_again(list(of_lost.values()), state=state):
        if isinstance(answer, RetrainingAnswer):
            request = of_lost[answer.trial]
            text = f"{what_is_lost(lost[answer.trial], request)}; trained again {_since(answer.from_epoch)}"
            on_trained(answer.trial, text)
            found.append(request)
        elif isinstance(answer, CheckpointLostError):
            yield ExportError(f"{lost[answer.trial]}; {answer}")
        else:
            yield answer
    yield from run(found)


def what_is_lost(error: CheckpointLostError, request: ExportRequest) -> str:
    """Returns in words what an export lacks.

    Args:
        error: What the export ended with.
        request: The export.
    """
    if (evicted := request.evicted.partition(";")[0]) and evicted in str(error):
        return evicted
    return f"its checkpoint of epoch {request.epoch} is {'damaged' if 'is damaged' in str(error) else 'missing'}"


def _trained_again(requests: Sequence[ExportRequest], *, state: StudyState) -> Iterator[Any]:
    """Yields an answer for each trial, a CheckpointLostError that says why there is none, or None as time passes."""
    gpus = max(request.worker.device.gpus for request in requests)
    if gpus > ray.cluster_resources().get("GPU", 0.0):
        for request in requests:
            devices = f"{gpus:g} GPU{'s' if gpus > 1 else ''}"
            words = f"its trial trained on {devices}, and without them it cannot be trained again to the same bits"
            yield CheckpointLostError(words, trial=request.trial)
        return
    yield from run_in_workers(_train_again, [_request(request, state) for request in requests], has_gpus=True)


def _request(request: ExportRequest, state: StudyState) -> RetrainingRequest:
    trial = state.trials[request.trial]
    return RetrainingRequest(
        trial=request.trial,
        variant=request.variant,
        epoch=request.epoch,
        metrics=request.metrics,
        worker=request.worker,
        parent=trial.parent,
        parent_variant=state.trials[trial.parent].variant if trial.parent else None,
        from_epoch=trial.from_epoch,
    )


def _train_again(request: RetrainingRequest) -> RetrainingAnswer:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.retraining.retraining import train_again

    return train_again(replace(request, worker=worker_on_this_node(request.worker)))


def _since(epoch: int) -> str:
    return f"from epoch {epoch}" if epoch else "from the beginning"
