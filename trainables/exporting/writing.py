"""Writes a model in all formats that are asked for, each verified; one format's failure is not another's."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainables.errors import ModelExportError
from trainables.exporting.converted import ConvertedFormats
from trainables.exporting.formats import FORMATS
from trainables.exporting.verify import agreements, check_outputs, targets_of_numbers
from trainables.specs.export import FILES
from trainables.specs.task import Task
from trainables.user_code import in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The formats of an export.

    Attributes:
        parity: The largest difference from the checkpoint, by format that was written.
        agreement: The share of answers equal to the checkpoint's, by target, by format of Keras's and TensorFlow's own.
        runtimes: What a format's own runtime measured, by format that has one.
        problems: Why others were not written, by format.
    """

    parity: dict[str, float] = field(default_factory=dict)
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)
    runtimes: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What Keras's own formats are compared with.

    Attributes:
        inputs: Images, as the model takes them.
        expected: What the checkpoint predicts for them.
    """

    inputs: Any
    expected: Any


def write_formats(  # noqa: PLR0913 - one argument a collaborator
    model: Any,
    formats: Sequence[str],
    *,
    trial: str,
    task: Task,
    draft: Path,
    evidence: Evidence,
    converted: ConvertedFormats,
) -> Written:
    """Returns what was written into a draft folder, and what was not and why.

    Args:
        model: A graph of Keras's layers.
        formats: What is asked for.
        trial: The trial's name, for messages.
        task: The task.
        draft: The folder to write into.
        evidence: For Keras's own formats.
        converted: Makes all others.
    """
    written = Written()

    def write_own(name: str, path: Path) -> None:
        form = FORMATS[name]
        if reason := form.refusal(model):
            raise ModelExportError(reason)
        form.write(model, path, task)
        found = form.predict(path, evidence.inputs)
        written.parity[name] = check_outputs(
            evidence.expected, found, what=f"{trial}: {FILES[name]}", numbers=targets_of_numbers(task)
        )
        written.agreement[name] = agreements(evidence.expected, found, targets=task.targets)

    def write_converted(name: str, path: Path) -> None:
        verified = converted.write(name, path)
        written.parity[name], written.runtimes[name] = verified.difference, dict(verified.measured)

    for name in formats:
        write, otherwise = (
            (write_own, "Keras cannot write it, or load it again") if name in FORMATS else (write_converted, "failed")
        )
        path, what = draft / FILES[name], f"{trial}: {FILES[name]}"
        if problem := _problem(write, name=name, path=path, what=what, otherwise=otherwise):
            written.problems[name] = problem
            _remove(path)
    return written


def _problem(write: Callable[[str, Path], None], *, name: str, path: Path, what: str, otherwise: str) -> str:
    """Writes one format; returns why that was not possible, or an empty text."""
    try:
        write(name, path)
    except OSError:
        # A full disk, which is not the model's fault.
        raise
    except ModelExportError as exc:
        return str(exc) if str(exc).startswith(what) else f"{what}: {exc}"
    except Exception as exc:  # noqa: BLE001 - Keras raises anything for what it cannot write
        return f"{what}: {otherwise}: {in_words(exc)}"
    return ""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
