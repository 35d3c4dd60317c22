"""Draws training images as a model gets them, a row a class."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from trainables.data.images.images import Array

#: The most rows and columns of a sheet.
NUM_ROWS, NUM_COLUMNS = 8, 8
#: Pixels of a cell's longer side, between cells, and beside the rows for the classes' names.
CELL, GAP, MARGIN = 72, 4, 150
_LONGEST_NAME = 22
#: Images in a row of a sheet of numbered ones, and the pixels of a number's line.
NUMBERED_COLUMNS, _NUMBER_HEIGHT = 6, 16


def chosen_rows(
    rows: Array, *, targets: Sequence[Mapping[str, Any]], labels: Mapping[str, Array]
) -> list[tuple[str, list[int]]]:
    """Returns the name of each row of a sheet with the images in it: a class a row, by the first classification.

    Of each class, images are taken at equal distances through the split, so that equal splits give equal sheets.
    Without a classification the rows have no names.

    Args:
        rows: The training split's rows of the stored images.
        targets: The targets as the cache's manifest describes them.
        labels: By target, the labels of the stored images.
    """
    target = next((target for target in targets if target["kind"] == "classification"), None)
    if target is None:
        chosen = _spread(rows, NUM_ROWS * NUM_COLUMNS)
        return [("", chosen[start : start + NUM_COLUMNS]) for start in range(0, len(chosen), NUM_COLUMNS)]
    classes = labels[target["name"]][rows]
    found = np.unique(classes)[:NUM_ROWS].tolist()
    return [(target["class_names"][number], _spread(rows[classes == number], NUM_COLUMNS)) for number in found]


def draw_sheet(
    chosen: Sequence[tuple[str, Sequence[int]]], *, fetch: Callable[[Array], Array], num_inputs: int = 1
) -> bytes:
    """Returns a PNG of the chosen images; the images of an example stand side by side.

    Args:
        chosen: From `chosen_rows`.
        fetch: Returns the stored images of some rows, uint8 (count, height, width, channels).
        num_inputs: Images of an example.
    """
    lines = [(name, _side_by_side(fetch(np.asarray(rows)), num_inputs=num_inputs)) for name, rows in chosen]
    margin = MARGIN if any(name for name, _ in lines) else 0
    height, width = lines[0][1].shape[1:3]
    cell = cell_size(height, width, num_inputs=num_inputs)
    num_columns = max(len(cells) for _, cells in lines)
    size = (margin + num_columns * (cell[0] + GAP) - GAP, len(lines) * (cell[1] + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, cells) in enumerate(lines):
        top = row * (cell[1] + GAP)
        if name:
            pen.text((GAP, top + cell[1] // 2), _printable(name, number=row), fill="black", anchor="lm")
        for column, pixels in enumerate(cells):
            sheet.paste(shown(pixels, cell), (margin + column * (cell[0] + GAP), top))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def draw_numbered(images: Array, *, num_inputs: int = 1, longest: int = CELL) -> bytes:
    """Returns a PNG of images in rows of NUMBERED_COLUMNS, each above its number from 1.

    Args:
        images: uint8 (count, height, width, channels).
        num_inputs: Images of an example, which stand side by side.
        longest: Pixels of a cell's longer side.
    """
    cells = _side_by_side(images, num_inputs=num_inputs)
    width, height = cell_size(*cells.shape[1:3], num_inputs=num_inputs, longest=longest)
    num_columns = min(len(cells), NUMBERED_COLUMNS)
    num_rows = -(-len(cells) // NUMBERED_COLUMNS)
    # A cell that is narrower than its number would hide the next one's.
    across, down = max(width, _NUMBER_HEIGHT) + GAP, height + _NUMBER_HEIGHT + GAP
    sheet = Image.new("RGB", (num_columns * across - GAP, num_rows * down - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, pixels in enumerate(cells):
        row, column = divmod(place, NUMBERED_COLUMNS)
        left, top = column * across, row * down
        sheet.paste(shown(pixels, (width, height)), (left, top))
        pen.text((left + width // 2, top + height + _NUMBER_HEIGHT // 2), str(place + 1), fill="black", anchor="mm")
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def cell_size(height: int, width: int, *, num_inputs: int, longest: int = CELL) -> tuple[int, int]:
    """Returns the (width, height) of a cell for images that stand side by side, `longest` pixels on the longer side."""
    scale = longest / max(height, width // num_inputs)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shown(pixels: Array, size: tuple[int, int]) -> Image.Image:
    """Returns an image (height, width, channels) in a cell's size; a small one is enlarged without interpolation."""
    method = Image.Resampling.NEAREST if size[0] > pixels.shape[1] else Image.Resampling.BOX
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[..., 0]))
    return picture.convert("RGB").resize(size, method)


def _spread(rows: Array, number: int) -> list[int]:
    """Returns up to so many of the rows, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)
    return [int(row) for row in rows[places]]


def _side_by_side(images: Array, *, num_inputs: int) -> Array:
    """Returns images that lie side by side in their channels side by side in the picture."""
    return np.concatenate(np.split(images, num_inputs, axis=-1), axis=2)


def _printable(name: str, *, number: int) -> str:
    """Returns a class name in the letters that Pillow's own font has; another name becomes its row's number."""
    if not name.isascii() or not name.isprintable():
        return f"row {number + 1}"
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
