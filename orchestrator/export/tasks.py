"""Exports as Ray tasks: TensorFlow stays in the workers, and exports run side by side, on CPUs alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.errors import ExportError
from trainables.errors import ModelExportError
from trainables.specs.export import ExportRequest, ExportResult

_POLL_SECONDS = 0.2


def run_exports(requests: Sequence[ExportRequest]) -> Iterator[ExportResult | ExportError | None]:
    """Yields each export, or why it failed, as soon as Ray has it, and None five times a second while none is ready.

    Args:
        requests: What to export.
    """
    return run_in_workers(_export, requests)


def run_in_workers(task: Any, requests: Sequence[Any]) -> Iterator[Any]:
    """Yields what a Ray task returns for each request, or an ExportError, as `run_exports` does.

    Args:
        task: A remote function of a request.
        requests: Each with `trial`, a name for messages, and `worker`, whose share of CPUs the task gets.
    """
    waiting = {
        task.options(num_cpus=request.worker.device.cpus, num_gpus=0, max_retries=2).remote(request): request
        for request in requests
    }
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
        if not done:
            yield None
        for reference in done:
            yield _outcome(reference, waiting.pop(reference))


def _outcome(reference: Any, request: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as exc:
        return _export_error(request, exc.cause or exc)
    except RayError as exc:
        lines = str(exc).strip().splitlines()
        return ExportError(
            f"{request.trial}: the export's worker process died ({lines[0] if lines else type(exc).__name__}); run the "
            "same command again"
        )


@ray.remote
def _export(request: ExportRequest) -> ExportResult:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.exporting.export import export_model

    return export_model(request)


def _export_error(request: Any, cause: BaseException) -> ExportError:
    if isinstance(cause, ModelExportError):
        return ExportError(str(cause))
    text = str(cause).strip().splitlines()
    return ExportError(f"{request.trial}: the export failed ({type(cause).__name__}: {text[0] if text else ''})")
