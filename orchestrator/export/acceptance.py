"""The smallest file of a study's exports that gives up no more than the study accepts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.export.exported_files import ExportedFile, read_export_manifest
from orchestrator.text import number
from trainables.files.manifests import MANIFEST, sealed
from trainables.files.whole import write_whole

#: The key of the manifest of the export that has the accepted file.
ACCEPTED = "accepted"
#: How far two shares of images may be apart and yet be equal: metrics are float32.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """What a file gives up, each part 0 or more.

    Attributes:
        model: By how much its checkpoint's objective on the validation split is below that of the best exported model.
        format: By how much its metric on the test split is below its own checkpoint's.
    """

    model: float
    format: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.model + self.format


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The file that a study accepts, or why there is none.

    Attributes:
        file: The file; None: no file is good enough.
        cost: What it gives up; None without a file.
        words: Both in a sentence.
    """

    file: ExportedFile | None
    cost: GivenUp | None
    words: str


def cost_of(file: ExportedFile, *, among: Sequence[ExportedFile]) -> GivenUp | None:
    """Returns what a file gives up; None where that is not known.

    Nothing is gained by a metric that is higher by chance.

    Args:
        file: The file.
        among: All files of the study.
    """
    if file.problem or file.drop is None or file.validation is None:
        return None
    best = max(other.validation for other in among if other.validation is not None)
    return GivenUp(model=best - file.validation, format=max(0.0, file.drop))


def choose_smallest(files: Sequence[ExportedFile], *, accuracy_drop: float, objective: str) -> Acceptance:
    """Returns the smallest file that gives up no more than `accuracy_drop`; of equal ones, what gives up least.

    Args:
        files: All files of the study.
        accuracy_drop: The most that a file may give up, of its model and its format together.
        objective: The study's metric, for words.
    """
    known = [(cost, file) for file in files if (cost := cost_of(file, among=files)) is not None]
    if not known:
        return Acceptance(file=None, cost=None, words="no exported file has a test metric of the objective")
    kept = [(cost, file) for cost, file in known if cost.total <= accuracy_drop + _ROUNDING]
    if not kept:
        cost, file = min(known, key=lambda entry: (entry[0].total, entry[1].size_bytes or 0, entry[1].rank))
        words = f"no file gives up at most {number(accuracy_drop)}; the nearest is {_named(file)}, which gives up "
        return Acceptance(file=None, cost=None, words=words + _in_words(cost, objective=objective))
    cost, file = min(kept, key=_by_size)
    words = f"{_named(file)} is the smallest file that gives up at most {number(accuracy_drop)}; it gives up "
    words += _in_words(cost, objective=objective)
    free = [entry for entry in kept if entry[0].total <= _ROUNDING]
    if cost.total > _ROUNDING and free:
        words += f"; the smallest that gives up nothing is {_named(min(free, key=_by_size)[1])}"
    return Acceptance(file=file, cost=cost, words=words)


def write_choice(choice: Acceptance, *, accuracy_drop: float, exports: Sequence[Path]) -> None:
    """Writes the choice into the manifest of its export, and takes an earlier one out of all others.

    Args:
        choice: The choice.
        accuracy_drop: What the study accepts.
        exports: The folders of all exports.
    """
    for folder in exports:
        before = read_export_manifest(folder)
        content = {key: value for key, value in before.items() if key != ACCEPTED}
        if choice.file is not None and choice.file.path.parent == folder:
            content[ACCEPTED] = _content(choice, accuracy_drop=accuracy_drop)
        if content != before:
            write_whole(folder / MANIFEST, json.dumps(sealed(content), indent=2))


def accepted_in(exports: Sequence[Path]) -> dict[str, Any]:
    """Returns what a manifest of the exports says of the accepted file, and its path; empty where there is none.

    Args:
        exports: The folders of all exports.
    """
    for folder in exports:
        if found := read_export_manifest(folder).get(ACCEPTED):
            return {**found, "path": str(folder / found["file"])}
    return {}


def _content(choice: Acceptance, *, accuracy_drop: float) -> dict[str, Any]:
    file, cost = choice.file, choice.cost
    if file is None or cost is None:
        return {}
    return {
        "format": file.format,
        "file": file.path.name,
        "size_bytes": file.size_bytes,
        "accuracy_drop": accuracy_drop,
        "gives_up": {"model": cost.model, "format": cost.format},
        "words": choice.words,
    }


def _by_size(entry: tuple[GivenUp, ExportedFile]) -> tuple[float, float, int, str]:
    cost, file = entry
    return file.size_bytes or 0, cost.total, file.rank, file.format


def _named(file: ExportedFile) -> str:
    return f"{file.path.parent.name}/{file.path.name} ({file.size_bytes or 0:,} bytes)"


def _in_words(cost: GivenUp, *, objective: str) -> str:
    parts = [
        (cost.model, f"{number(cost.model)} of {objective} to the best exported model"),
        (cost.format, f"{number(cost.format)} of test {objective.removeprefix('val_')} to its format"),
    ]
    return " and ".join(text for value, text in parts if value > _ROUNDING) or "nothing"
