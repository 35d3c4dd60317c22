"""The sections on the exports beside their list: formats, and what the best model gets wrong, from their manifests."""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from orchestrator.export.acceptance import accepted_in
from orchestrator.export.exported_files import exported_files, is_worth_a_table, read_export_manifest
from orchestrator.export.format_cells import FORMAT_HEADINGS, NUMERIC_HEADINGS, format_cells
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import export_path
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report.markup import Cell, Markup, bullets, figure, picture, section, table, text

_NOTE = (
    "Each file was loaded by its own runtime and compared with the checkpoint. Times are the median of a call on the "
    "machine that exported; formats of Keras and TensorFlow are not timed."
)
_MISTAKES_NOTE = (
    "What the best exported model gets wrong on the test split, which was read at the export and steered nothing: the "
    "commonest confusions, and the mistakes of which the model is surest (of numbers the largest errors)."
)
#: A picture that an export writes beside its card, and its most bytes; a card's picture is a tenth of that.
_PICTURE, _MOST_BYTES = re.compile(r"worst_mistakes(_\d{1,4})?\.png"), 2_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
#: Manifests of earlier versions say nothing of mistakes; of one that was changed the rest is shown.
_UNLIKE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def formats_section(state: StudyState, *, folder: RunFolder) -> Markup:
    """Returns the table of formats and the file that the study accepts; nothing where there is neither.

    Args:
        state: What the journal says.
        folder: The run folder.
    """
    files = exported_files(state, folder=folder)
    accepted = accepted_in([export_path(item, folder=folder) for item in state.exports])
    if not is_worth_a_table(files) and not accepted:
        return Markup("")
    rows = table(FORMAT_HEADINGS, map(format_cells, files), numeric=NUMERIC_HEADINGS)
    return section("Formats", rows, *([bullets([accepted["words"]])] if accepted else []), note=_NOTE)


def mistakes_section(state: StudyState, *, folder: RunFolder) -> Markup:
    """Returns the confusions and the worst mistakes of the best export; nothing where its manifest has none.

    Args:
        state: What the journal says.
        folder: The run folder.
    """
    best = min(state.exports, key=lambda item: item.rank, default=None)
    if best is None:
        return Markup("")
    path = export_path(best, folder=folder)
    figures = read_export_manifest(path).get("test_figures")
    if not isinstance(figures, dict):
        return Markup("")
    parts = [part for number, (name, found) in enumerate(figures.items()) for part in _parts(name, found, path, number)]
    return section(f"Mistakes of {best.trial}", *parts, note=_MISTAKES_NOTE) if parts else Markup("")


def _parts(name: str, found: Any, path: Path, number: int) -> list[Markup]:
    shown: list[Markup] = []
    for make in (_confusion, _confusions, _worst):
        try:
            shown += make(found, path=path, number=number)
        except _UNLIKE:
            continue
    return [Markup(f'<p class="note"><strong>{text(name)}</strong></p>'), *shown] if shown else []


def _confusion(found: Mapping[str, Any], *, path: Path, number: int) -> Iterator[Markup]:
    """Yields the confusion matrix of a target with few classes; colours are shares of a class."""
    if "confusion" not in found:
        return
    names = [escape(str(item)) for item in found["class_names"]]
    counts = [[int(count) for count in row] for row in found["confusion"]]
    if len(names) != len(counts) or any(len(row) != len(names) for row in counts):
        raise ValueError("a confusion matrix is square")
    trace = {
        "type": "heatmap",
        "x": list(range(len(names))),
        "y": list(range(len(names))),
        "z": [[round(count / max(1, sum(row)), 4) for count in row] for row in counts],
        "customdata": counts,
        "text": counts,
        "texttemplate": "%{text}",
        "colorscale": "Blues",
        "zmin": 0,
        "zmax": 1,
        "colorbar": {"title": {"text": "share of a class"}},
        "hovertemplate": "is %{y}, taken for %{x}: %{customdata}<extra></extra>",
        "hoverongaps": False,
    }
    ticks = {"tickvals": list(range(len(names))), "ticktext": names}
    layout = {
        "height": 160 + 28 * len(names),
        "margin": {"l": 140, "r": 20, "t": 16, "b": 90},
        "xaxis": {"title": {"text": "taken for"}, **ticks},
        "yaxis": {"title": {"text": "is"}, "autorange": "reversed", **ticks},
    }
    yield figure(f"confusion-{number}", {"data": [trace], "layout": layout})


def _confusions(found: Mapping[str, Any], *, path: Path, number: int) -> Iterator[Markup]:
    rows: list[list[Cell]] = [[str(label), str(answer), int(count)] for label, answer, count in found["confusions"]]
    if rows:
        unit = str(found.get("unit", "images"))
        yield table(["is", "taken for", unit], rows, numeric=[unit])


def _worst(found: Mapping[str, Any], *, path: Path, number: int) -> Iterator[Markup]:
    mistakes = found["mistakes"]
    examples, is_number = mistakes["examples"], found["kind"] == "regression"
    if not examples:
        return
    if (png := _png(path, mistakes.get("file"))) is not None:
        yield picture(png, alternative="Test images of the worst mistakes")
    size = "error" if is_number else "probability"
    headings = ["number", "place", "is", "predicted" if is_number else "taken for", size]
    yield table(headings, _rows(examples), numeric=["number", "place", size])


def _rows(examples: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    return [
        [number, int(item["place"]), _cell(item["label"]), _cell(item["answer"]), float(item["size"])]
        for number, item in enumerate(examples, start=1)
    ]


def _cell(value: object) -> Cell:
    return float(value) if isinstance(value, int | float) else str(value)


def _png(path: Path, file: object) -> bytes | None:
    """Returns the picture of an export; None where the manifest names none, or something else lies there."""
    if not isinstance(file, str) or not _PICTURE.fullmatch(file):
        return None
    place = path / file
    try:
        if place.is_symlink() or not place.is_file() or place.stat().st_size > _MOST_BYTES:
            return None
        content = place.read_bytes()
    except OSError:
        return None
    return content if content.startswith(_PNG) else None
