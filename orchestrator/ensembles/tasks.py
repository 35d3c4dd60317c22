"""Predictions, soups and ensembles in worker processes: TensorFlow stays out of the driver, on CPUs alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.errors import ExportError
from orchestrator.export.tasks import run_in_workers
from orchestrator.sharing.bringing import brought
from orchestrator.sharing.handing import Made, made_for
from trainables.ensembles.requests import (
    EnsembleAnswer,
    EnsembleRequest,
    PredictionAnswer,
    PredictionRequest,
    SoupAnswer,
    SoupRequest,
)
from trainables.sharing.own_folder import worker_on_this_node
from trainables.specs.worker import WorkerSpec


def run_predictions(requests: Sequence[PredictionRequest]) -> Iterator[PredictionAnswer | ExportError | None]:
    """Yields what the checkpoints of each trial predict, or why they do not, and None while none is ready.

    Args:
        requests: One a trial.
    """
    return run_in_workers(_predict, requests)


def run_soup(request: SoupRequest) -> Iterator[SoupAnswer | ExportError | None]:
    """Yields None until it is known which weights are averaged, then that, or why none are.

    Args:
        request: The candidates.
    """
    return run_in_workers(_choose_soup, [request])


def run_ensemble(request: EnsembleRequest) -> Iterator[EnsembleAnswer | ExportError | None]:
    """Yields None until an ensemble is in the run folder, then what it came to, or why it is not.

    Args:
        request: The members.
    """
    return run_in_workers(_export_ensemble, [request], follow_up=brought)


def _predict(request: PredictionRequest) -> PredictionAnswer:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.ensembles.models.predicting import predict_checkpoints

    return predict_checkpoints(replace(request, worker=worker_on_this_node(request.worker)))


def _choose_soup(request: SoupRequest) -> SoupAnswer:
    # Late, as above.
    from trainables.ensembles.models.souping import choose_soup

    return choose_soup(replace(request, worker=worker_on_this_node(request.worker)))


def _export_ensemble(request: EnsembleRequest) -> Made:
    # Late, as above.
    from trainables.ensembles.models.exporting import export_ensemble

    target = request.export.folder

    def make(folder: str, worker: WorkerSpec) -> EnsembleAnswer:
        answer = export_ensemble(replace(request, export=replace(request.export, folder=folder, worker=worker)))
        return replace(answer, export=replace(answer.export, folder=target))

    return made_for(target, worker=request.worker, make=make)
