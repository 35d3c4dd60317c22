"""Decides what the pixels of masks mean: class numbers from 0, or 0 and 255 for two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError
from trainables.specs.masks import UNCOUNTED

#: The pixels of masks that are drawn for people: black and white.
BLACK_AND_WHITE = (0, 255)


def mask_classes(
    counts: Mapping[str, Array], *, where: Mapping[str, str], names: Sequence[str] | None
) -> tuple[tuple[int, ...], list[str]]:
    """Returns the values that are the classes 0 and 1, empty where values are class numbers; and the classes' names.

    Training masks of 0 and 255 alone have two classes. In all others 255 marks pixels that do not count, and the other
    values are class numbers; without names each from 0 to the highest one must occur, and 0, 1 and 255 are refused.

    >>> training = np.bincount([0, 0, 1, 2, 255], minlength=256)
    >>> mask_classes({"train": training}, where={"train": "y"}, names=None)
    ((), ['0', '1', '2'])

    Args:
        counts: By split, the number of pixels of each value, (256,).
        where: By split, its masks' name in errors.
        names: One a class, from the data; None where the data has none.

    Raises:
        DataError: If values are neither, differ between splits, or all training pixels are of one class.
    """
    values = np.flatnonzero(counts["train"]).tolist()
    is_drawn = set(values) == set(BLACK_AND_WHITE)
    numbers = [0, 1] if is_drawn else [value for value in values if value != UNCOUNTED]
    if len(numbers) < 2:
        raise DataError(
            f"{where['train']}: expected pixels of two or more classes, got only {values}; give training masks with "
            "pixels of every class"
        )
    if values == [0, 1, UNCOUNTED] and names is None:
        raise DataError(
            f"{where['train']}: pixels of 0, 1 and 255 may be two classes and pixels that do not count, or masks of 0 "
            "and 1 among masks of 0 and 255; write all masks alike, or name the two classes (class_names), which makes "
            "255 not count"
        )
    if names is None and numbers != list(range(len(numbers))):
        missing = next(number for number in range(len(numbers)) if number != numbers[number])
        raise DataError(
            f"{where['train']}: expected class numbers 0, 1, 2, ... or 0 and 255, got {numbers[:8]} without {missing}; "
            "number the classes from 0 without gaps, or give class_names (masks that were resized or saved as JPEG "
            "have values of no class)"
        )
    if names is not None and numbers[-1] >= len(names):
        raise DataError(
            f"{where['train']}: class {numbers[-1]} has no name, there are only {len(names)} class names; complete the "
            "names or leave them out"
        )
    class_names = [str(number) for number in numbers] if names is None else list(names)
    for split, found in counts.items():
        _demand_known(found, where=where[split], num_classes=len(class_names), training=values, is_drawn=is_drawn)
    return (BLACK_AND_WHITE if is_drawn else ()), class_names


def class_of_pixels(masks: Array, *, values: Sequence[int]) -> Array:
    """Returns uint8 class numbers of pixels as `mask_classes` says; UNCOUNTED stays where values are class numbers."""
    return (masks == values[1]).astype(np.uint8) if len(values) else masks


def mask_notes(counts: Mapping[str, Array], *, name: str, num_classes: int, values: Sequence[int]) -> list[str]:
    """Returns a sentence about the classes of masks, their shares in training and the pixels that do not count."""
    training = counts["train"].astype(np.float64)
    numbers = list(values) if len(values) else list(range(num_classes))
    total = training[numbers].sum()
    shares = ", ".join(f"{training[number] / total:.1%}" for number in numbers[:8]) + (
        ", ..." if num_classes > 8 else ""
    )
    meaning = "0 and 255 are the classes 0 and 1" if len(values) else "pixels are class numbers"
    notes = [f"targets.{name}: {meaning}; shares of the training pixels by class: {shares}"]
    uncounted = 0 if len(values) else training[UNCOUNTED]
    if uncounted:
        share = uncounted / training.sum()
        notes.append(
            f"targets.{name}: {share:.1%} of the training pixels are {UNCOUNTED} and count neither in losses nor in "
            "metrics"
        )
    return notes


def _demand_known(counts: Array, *, where: str, num_classes: int, training: Sequence[int], is_drawn: bool) -> None:
    if is_drawn:
        strange = [value for value in np.flatnonzero(counts).tolist() if value not in BLACK_AND_WHITE]
        expected = "0 and 255"
    else:
        known = {*range(num_classes), *(value for value in training if value == UNCOUNTED)}
        strange = [value for value in np.flatnonzero(counts).tolist() if value not in known]
        expected = f"class numbers 0 to {num_classes - 1}" + (" and 255" if UNCOUNTED in known else "")
    if strange:
        raise DataError(
            f"{where}: the training masks have {expected}, these have {strange[:8]} as well; write the masks of all "
            "splits alike"
        )
