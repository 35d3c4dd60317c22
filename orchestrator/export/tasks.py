"""Exports in worker processes: TensorFlow stays out of the driver, and exports run side by side, on CPUs alone."""

from collections.abc import Iterator, Sequence

from ray.exceptions import RayError, RayTaskError

from orchestrator.cluster.processes import Answer, answers
from orchestrator.errors import ExportError
from trainables.errors import ModelExportError
from trainables.specs.export import ExportRequest, ExportResult


def run_exports(requests: Sequence[ExportRequest]) -> Iterator[ExportResult | ExportError | None]:
    """Yields each export, or why it failed, as soon as Ray has it, and None five times a second while none is ready.

    Args:
        requests: What to export.
    """
    if not requests:
        return
    cpus = max(request.worker.device.cpus for request in requests)
    for answer in answers(_export, requests, cpus=cpus):
        yield None if answer is None else _outcome(answer)


def _export(request: ExportRequest) -> ExportResult:
    # Late: it brings TensorFlow, which the driver, which imports this module too, never imports.
    from trainables.exporting.export import export_model

    return export_model(request)


def _outcome(answer: Answer) -> ExportResult | ExportError:
    if answer.error is None:
        result: ExportResult = answer.value
        return result
    lines = str(answer.error).strip().splitlines()
    kind, first = type(answer.error).__name__, lines[0] if lines else ""
    if isinstance(answer.error, ModelExportError):
        return ExportError(str(answer.error))
    if isinstance(answer.error, RayError) and not isinstance(answer.error, RayTaskError):
        return ExportError(
            f"{answer.request.trial}: the export's worker process died ({first or kind}); `convfleet export` "
            "tries again"
        )
    return ExportError(f"{answer.request.trial}: the export failed ({kind}: {first})")
