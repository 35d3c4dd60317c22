"""What each format's own runtime measured, as lines of a terminal."""

from collections.abc import Mapping
from typing import Any

from orchestrator.text import size_in_words


def runtime_lines(runtimes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns one line a format.

    >>> batches = {"1": {"p50": 0.0002, "p95": 0.0004}, "32": {"p50": 0.003, "p95": 0.004}}
    >>> found = {"runtime": "onnxruntime", "version": "1.32.0", "size_bytes": 123456, "max_difference": 1e-7}
    >>> found |= {"agreement": {"label": 1.0}, "latency_seconds": batches}
    >>> runtime_lines({"onnx": found})
    ['onnx: onnxruntime 1.32.0, 0.1 MB, differs by 1e-07, same answers 100.0%, 1 image 0.20 ms, 32 images 3.00 ms']

    Args:
        runtimes: By format, as in the manifest.
    """
    return [f"{name}: {', '.join(_parts(found))}" for name, found in runtimes.items()]


def _parts(found: Mapping[str, Any]) -> list[str]:
    shares = list(found["agreement"].values())
    answers = [f"same answers {min(shares):.1%}"] if shares else []
    milliseconds = {size: 1000 * seconds["p50"] for size, seconds in found["latency_seconds"].items()}
    return [
        f"{found['runtime']} {found['version']}",
        size_in_words(found["size_bytes"]),
        f"differs by {found['max_difference']:.1g}",
        *answers,
        *(f"{size} image{'' if size == '1' else 's'} {value:.2f} ms" for size, value in milliseconds.items()),
        *filter(None, [found.get("worst_layer", {}).get("words")]),
    ]
