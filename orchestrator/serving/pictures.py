"""Reads a picture's bytes as the training read its images, and says what a model predicts for it in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.serving.batches import NamedArrays
from orchestrator.serving.described import DescribedOutput, DescribedVersion
from orchestrator.serving.protocol import RequestRefusedError
from trainables.data.formats.refusals import PictureError
from trainables.data.images.decode import Encoded, decode, read_header
from trainables.data.images.images import Array
from trainables.scores.tallies import FLAG_SET

#: A picture of few bytes may have many pixels, which take memory.
MOST_PIXELS = 50_000_000


def picture_pixels(content: bytes, *, described: DescribedVersion) -> Array:
    """Returns the pixels of a picture for a model of one input, uint8 (1, height, width, channels).

    Args:
        content: A picture in any format that a study reads, such as PNG and JPEG.
        described: The model.

    Raises:
        RequestRefusedError: If the bytes are no picture, or not one that the model takes.
    """
    _demand_one_input(described)
    layout = described.reading.layout
    item = Encoded(where="picture", content=content)
    try:
        header = read_header(item, pages=layout.pages)
        height, width = header.size
        if height * width > MOST_PIXELS:
            raise RequestRefusedError(
                f"the picture has {height}x{width} pixels, more than {MOST_PIXELS:,}; send a smaller one", status=413
            )
        _demand_like_training(header.size, header.has_colour, described=described)
        return decode(item, layout=layout)[None]
    except PictureError as exc:
        raise RequestRefusedError(f"the picture {exc}") from exc


def picture_answer(outputs: NamedArrays, *, described: DescribedVersion) -> dict[str, Any]:
    """Returns the answer for one picture: which version gave it, and one object for each target.

    Args:
        outputs: By output name, for one picture.
        described: The model.
    """
    return {
        "model_name": described.version.name,
        "model_version": str(described.version.version),
        "targets": {named.target: _answer(outputs[named.name][0], named) for named in described.outputs},
    }


def _demand_one_input(described: DescribedVersion) -> None:
    if len(described.inputs) > 1:
        names = ", ".join(named.name for named in described.inputs)
        raise RequestRefusedError(
            f"{described.version.name} takes {len(described.inputs)} images ({names}), a picture is one; send tensors "
            "to infer"
        )


def _demand_like_training(size: tuple[int, int], has_colour: bool, *, described: DescribedVersion) -> None:
    reading, layout = described.reading, described.reading.layout
    if not reading.takes_any_size and size != (layout.height, layout.width):
        raise RequestRefusedError(
            f"the picture is {size[0]}x{size[1]} (height x width), {described.version.name} was trained on images of "
            f"{layout.height}x{layout.width} that were not resized; resize it first"
        )
    if has_colour and layout.channels == 1 and not reading.takes_any_colors:
        raise RequestRefusedError(
            f"the picture has colours, {described.version.name} was trained on grey images that were not converted; "
            "convert it first"
        )


def _answer(values: np.ndarray, named: DescribedOutput) -> Mapping[str, Any]:
    match named.kind:
        case "classification":
            place = int(values.argmax())
            return {
                "class": named.class_names[place],
                "probability": float(values[place]),
                "probabilities": _by_name(values, named),
            }
        case "multilabel":
            flags = _by_name(values, named)
            return {"flags": [name for name, value in flags.items() if value >= FLAG_SET], "probabilities": flags}
        case "mask":
            # The class of each pixel, by its place in class_names.
            return {"class_names": list(named.class_names), "classes": values.argmax(axis=-1).tolist()}
    return {"values": values.reshape(-1).tolist()}


def _by_name(values: np.ndarray, named: DescribedOutput) -> dict[str, float]:
    return dict(zip(named.class_names, values.reshape(-1).tolist(), strict=True))
