"""The worst mistakes of a split in a card: a picture of the images, and what each is and was taken for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.cards.blocks import Block, Paragraph, Picture, grid


def mistake_blocks(name: str, found: Mapping[str, Any], *, folder: Path | None) -> Iterator[Block]:
    """Yields the worst mistakes of a target.

    Args:
        name: The target.
        found: Its figures; those of older exports may have no mistakes.
        folder: The export, which has the picture.
    """
    mistakes = found.get("mistakes")
    if mistakes is None or not mistakes["images"]:
        return
    examples, is_number = mistakes["examples"], found["kind"] == "regression"
    if not examples:
        wrong = "Every number is predicted exactly" if is_number else "No image is answered wrongly"
        yield Paragraph(text=f"Worst mistakes: none. {wrong}, of {mistakes['images']:,} test images.")
        return
    yield Paragraph(text=_words(mistakes, kind=found["kind"]))
    if folder is not None and "file" in mistakes:
        content = (folder / mistakes["file"]).read_bytes()
        yield Picture(file=mistakes["file"], text=f"Test images of the worst mistakes of {name}", content=content)
    yield _table(examples, kind=found["kind"], has_values=is_number and len(found["values"]) > 1)


def _table(examples: Sequence[Mapping[str, Any]], *, kind: str, has_values: bool) -> Block:
    is_number = kind == "regression"
    words = ("predicted", "error") if is_number else ("taken for", "wrong pixels" if kind == "mask" else "probability")
    headings = ("number", "place", "row", *(("value",) if has_values else ()), "is", *words)
    keys = ("place", "row", *(("value",) if has_values else ()), "label", "answer", "size")
    rows = [(number, *(item.get(key) for key in keys)) for number, item in enumerate(examples, start=1)]
    numeric = range(len(headings)) if is_number else (0, 1, 2, 5)
    return grid(headings, rows, numeric=numeric)


def _words(mistakes: Mapping[str, Any], *, kind: str) -> str:
    count, images = len(mistakes["examples"]), mistakes["images"]
    if kind == "regression":
        first = f"Worst mistakes: the largest errors of {images:,} test images."
    elif kind == "mask":
        first = (
            f"Worst mistakes: {mistakes['wrong']:,} of {images:,} test images have wrong pixels; these have the "
            "largest shares of them, and most of those are of the class, and taken for the one, that is said here."
        )
    else:
        which = "those" if count == mistakes["wrong"] else f"the {count}"
        first = (
            f"Worst mistakes: {mistakes['wrong']:,} of {images:,} test images are answered wrongly; these are {which} "
            "of which the model is surest."
        )
    return (
        f"{first} Place: in the test split, from 0. Row: among the images of the source that the split was taken from, "
        "from 0."
    )
