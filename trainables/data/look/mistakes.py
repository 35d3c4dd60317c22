"""Draws the images of the worst mistakes of each target into files beside a model's card."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.data.look.sheet import draw_numbered

#: The most bytes of a picture, and the sizes of its cells that are tried for that.
_MOST_BYTES, _CELLS = 200_000, (128, 96, 72, 48, 32)


def write_mistake_pictures(
    folder: Path, scores: Mapping[str, Any], *, rows: Array, fetch: Callable[[Array], Array], num_inputs: int
) -> dict[str, Any]:
    """Writes a picture of each target's worst mistakes; returns the figures with its `file` and each image's `row`.

    Args:
        folder: Where the pictures go.
        scores: By target, figures with `mistakes`, as `WorstMistakes.to_json` has them, or without.
        rows: The split's rows of the stored images.
        fetch: Returns the stored images of some rows, uint8 (count, height, width, channels).
        num_inputs: Images of an example.
    """
    found = dict(scores)
    for number, (name, figures) in enumerate(scores.items(), start=1):
        if examples := figures.get("mistakes", {}).get("examples"):
            # By number: a target's name need not be one of a file.
            file = "worst_mistakes.png" if len(scores) == 1 else f"worst_mistakes_{number}.png"
            placed = [{**example, "row": int(rows[example["place"]])} for example in examples]
            images = fetch(np.asarray([example["row"] for example in placed]))
            (folder / file).write_bytes(_picture(images, num_inputs=num_inputs))
            found[name] = {**figures, "mistakes": {**figures["mistakes"], "examples": placed, "file": file}}
    return found


def _picture(images: Array, *, num_inputs: int) -> bytes:
    for cell in _CELLS:
        content = draw_numbered(images, num_inputs=num_inputs, longest=cell)
        if len(content) <= _MOST_BYTES:
            break
    return content
