"""The section of the report on the data: what is remarkable, the splits, the classes, and some images."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.results import words
from orchestrator.runs.environment_file import data_notes, last_data
from orchestrator.views.report.markup import Cell, Markup, bullets, empty, picture, section, table, text
from orchestrator.views.report.sections import Findings

_NOTE = (
    "What the look before training found. A blank image has one value for all its pixels; a repeated one comes before "
    "in its split; a shared one is a training image as well."
)
_SHEET_NOTE = "Training images as a model gets them, before augmentation"
#: Runs of versions that wrote less, or a file that was changed, show what can be shown.
_UNLIKE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def data_section(findings: Findings) -> Markup:
    """Returns what is known of the data; no section for runs of versions that wrote nothing of it."""
    folder = findings.folder
    look = last_data(folder).get("look")
    notes = data_notes(folder)
    parts = [bullets(notes)] if notes else []
    if isinstance(look, dict) and look:
        parts += [part for make in (_splits, _members) if (part := _or_nothing(make, look))]
    path = folder.contact_sheet
    if path.is_file() and not path.is_symlink():
        said = _sheet_note(look if isinstance(look, dict) else {})
        parts += [Markup(f'<p class="note">{said}</p>'), picture(path.read_bytes(), alternative="Training images")]
    return section("Data", *parts, note=_NOTE) if parts else Markup("")


def _or_nothing(make: Callable[[Mapping[str, Any]], Markup], look: Mapping[str, Any]) -> Markup:
    try:
        return make(look)
    except _UNLIKE:
        return Markup("")


def _splits(look: Mapping[str, Any]) -> Markup:
    """Returns a table of the splits, a row each."""
    shared = {pair["split"]: pair["images"] for pair in look["shared"] if pair["in"] == "train"}
    rows: list[list[Cell]] = [
        [words.split_in_words(split), number, look["blank"][split], look["repeated"][split], shared.get(split)]
        for split, number in look["images"].items()
    ]
    headings = ["split", "images", "blank", "repeated", "shared"]
    low, high = (int(value) for value in look["values"])
    values = empty(f"Training pixels have values from {low} to {high} of 255.")
    return Markup(table(headings, rows, numeric=headings[1:]) + values)


def _members(look: Mapping[str, Any]) -> Markup:
    """Returns a table of each target's classes or flags; targets with very many have none."""
    tables = []
    for target in look["targets"]:
        if "members" in target:
            splits = target["members"]
            rows: list[list[Cell]] = [list(row) for row in zip(target["class_names"], *splits.values(), strict=True)]
            headings = [target["name"], *map(words.split_in_words, splits)]
            tables.append(table(headings, rows, numeric=headings[1:]))
    return Markup("".join(tables))


def _sheet_note(look: Mapping[str, Any]) -> Markup:
    rows = look.get("sheet")
    names = [name for name in rows if isinstance(name, str) and name] if isinstance(rows, list) else []
    return text(f"{_SHEET_NOTE}; rows from the top: {', '.join(names)}." if names else f"{_SHEET_NOTE}.")
