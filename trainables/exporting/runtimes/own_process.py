"""Runs a file's runtime in a process of its own and returns what that found; the process never imports TensorFlow."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import ModelExportError
from trainables.exporting.runtimes import measuring
from trainables.exporting.runtimes.conversion import Arrays

#: A runtime that takes longer than this for all images is of no use.
_TIMEOUT_SECONDS = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """What a runtime made of a file.

    Attributes:
        outputs: What the file predicts, by output name.
        measured: Version, settings, seconds and memory.
    """

    outputs: Arrays
    measured: Mapping[str, Any]


def write_images(folder: Path, images: Arrays) -> None:
    """Writes the images of each input, in order, for processes to read.

    Args:
        folder: An existing one.
        images: By input name.
    """
    for place, array in enumerate(images.values()):
        np.save(folder / f"input-{place}.npy", array)


def run_in_own_process(job: Mapping[str, Any], *, folder: Path) -> ProcessResult:
    """Loads a file in a fresh process without TensorFlow and predicts the images of a folder.

    Args:
        job: As `measuring.measure` takes it.
        folder: Has the images.

    Raises:
        ModelExportError: The process died, the runtime refused the file, or TensorFlow was imported.
    """
    (folder / "found.json").unlink(missing_ok=True)
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", measuring.__name__, str(folder / "job.json")],
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise ModelExportError(f"its runtime took more than {_TIMEOUT_SECONDS} seconds for the test images") from exc
    if done.returncode:
        raise ModelExportError(_reason(done.returncode, done.stderr))
    measured = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    if imported := measured.pop("imported"):
        raise ModelExportError(f"its runtime imported {', '.join(imported)}, which it should do without")
    return ProcessResult(outputs=_outputs(folder, job["outputs"]), measured=measured)


def _outputs(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: np.load(folder / f"found-{place}.npy", allow_pickle=False) for place, name in enumerate(names)}


def _environment() -> dict[str, str]:
    """Returns this process's environment, with this package where Python finds it."""
    root = str(Path(measuring.__file__).parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _reason(code: int, errors: str) -> str:
    """Returns why a process failed, in a line.

    >>> _reason(-11, "")
    'its runtime died of SIGSEGV while it loaded or ran the file'
    """
    if code < 0:
        return f"its runtime died of {signal.Signals(-code).name} while it loaded or ran the file"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return f"its runtime cannot load or run it: {lines[-1] if lines else f'exit code {code}'}"
