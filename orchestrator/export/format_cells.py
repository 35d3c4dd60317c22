"""A row of the table of formats as text, the same in terminal and report."""

from collections.abc import Mapping

from orchestrator.export.exported_files import ExportedFile
from orchestrator.text import number, one_line

FORMAT_HEADINGS = (
    "rank",
    "format",
    "bytes",
    "equal answers",
    "test metric",
    "1 image",
    "32 images",
    "verified",
)
NUMERIC_HEADINGS = FORMAT_HEADINGS[:1] + FORMAT_HEADINGS[2:-1]
_UNKNOWN = "-"


def format_cells(file: ExportedFile) -> list[str]:
    """Returns the cells of a row, in the order of the headings.

    >>> from pathlib import Path
    >>> path, seconds = Path("exports/1-t0002/model_int8.onnx"), {"1": 0.0002, "32": 0.003}
    >>> measured = {"size_bytes": 14100, "agreement": 0.992, "metric": 0.91, "latency_seconds": seconds}
    >>> format_cells(ExportedFile(rank=1, trial="t0002", format="onnx_int8", path=path, **measured))
    ['1', 'onnx_int8', '14,100', '99.2%', '0.91', '0.20 ms', '3.00 ms', 'yes']
    >>> format_cells(ExportedFile(rank=1, trial="t0002", format="onnx_int8", path=path, problem="it is not faithful"))
    ['1', 'onnx_int8', '-', '-', '-', '-', '-', 'no: it is not faithful']

    Args:
        file: What the row is of.
    """
    return [
        str(file.rank),
        file.format,
        _UNKNOWN if file.size_bytes is None else f"{file.size_bytes:,}",
        _UNKNOWN if file.agreement is None else f"{file.agreement:.1%}",
        number(file.metric) or _UNKNOWN,
        _milliseconds(file.latency_seconds, "1"),
        _milliseconds(file.latency_seconds, "32"),
        f"no: {one_line(file.problem)}" if file.problem else "yes",
    ]


def _milliseconds(seconds: Mapping[str, float], size: str) -> str:
    return f"{1000 * seconds[size]:.2f} ms" if size in seconds else _UNKNOWN
