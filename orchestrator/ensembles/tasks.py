"""Predictions, soups and ensembles in worker processes: TensorFlow stays out of the driver, on CPUs alone."""

from collections.abc import Iterator, Sequence

from orchestrator.errors import ExportError
from orchestrator.export.tasks import run_in_workers
from trainables.ensembles.requests import (
    EnsembleAnswer,
    EnsembleRequest,
    PredictionAnswer,
    PredictionRequest,
    SoupAnswer,
    SoupRequest,
)


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
    """Yields None until an ensemble is on disk, then what it came to, or why it is not.

    Args:
        request: The members.
    """
    return run_in_workers(_export_ensemble, [request])


def _predict(request: PredictionRequest) -> PredictionAnswer:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.ensembles.models.predicting import predict_checkpoints

    return predict_checkpoints(request)


def _choose_soup(request: SoupRequest) -> SoupAnswer:
    # Late, as above.
    from trainables.ensembles.models.souping import choose_soup

    return choose_soup(request)


def _export_ensemble(request: EnsembleRequest) -> EnsembleAnswer:
    # Late, as above.
    from trainables.ensembles.models.exporting import export_ensemble

    return export_ensemble(request)
