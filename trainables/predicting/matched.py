"""Labels of other data as the model counts its classes: matched by their names, never by their places."""

from collections.abc import Sequence

import numpy as np

from search_spaces import nearest
from trainables.data.images.images import Array
from trainables.data.images.masks import ArrayMasks, Masks
from trainables.data.labels.classes import checked_labels
from trainables.data.labels.flags import flags_of, known_flags
from trainables.data.labels.masks import class_of_pixels, mask_classes
from trainables.data.labels.values import values_of
from trainables.data.sources.base import RawSplit
from trainables.errors import DataError
from trainables.specs.masks import UNCOUNTED
from trainables.specs.task import Target, Task

#: Names that an error lists.
_MOST_NAMES = 10
_ALLOWED = "give images of each, or insist with --allow-missing-classes"


def matched_labels(
    split: RawSplit, names: Sequence[str] | None, *, target: Target, task: Task, allows_missing: bool
) -> Array:
    """Returns the labels of a split as `task.Target` has them, in the model's order of classes.

    Args:
        split: As its source has it.
        names: The names that the data gives its classes; None: none.
        target: What the labels are of.
        task: The model's, for the size of masks.
        allows_missing: Whether classes of the model may have no image.

    Raises:
        DataError: The labels are not of the target's kind, name a class that the model does not know, or lack one.
    """
    where = f"{split.where}: target {target.name!r}"
    match target.kind:
        case "classification":
            labels = split.labels[target.name]
            return _classes(labels, names, target=target, where=where, count=len(split.images), is_lax=allows_missing)
        case "multilabel":
            return _flags(split.labels[target.name], names, target=target, where=where, is_lax=allows_missing)
        case "regression":
            return values_of(split.labels[target.name], where=where, size=target.size)
        case "mask":
            masks = split.masks.get(target.name) or ArrayMasks(split.labels[target.name], where=where)
            masks.check(split.images)
            return _masks(masks, names, target=target, task=task, where=where, is_lax=allows_missing)


def places_of(names: Sequence[str], *, target: Target, where: str, is_lax: bool) -> Array:
    """Returns the place of each named class among those of the model, int64.

    Args:
        names: The classes of the data that have an image, in the data's order.
        target: The model's.
        where: The data in errors.
        is_lax: Whether classes of the model may be missing.

    Raises:
        DataError: The model does not know a class, or a class of the model is missing.
    """
    known = list(target.class_names)
    if unknown := [name for name in names if name not in known]:
        hint = nearest(unknown[0], known)
        raise DataError(
            f"{where}: the model does not know {len(unknown)} of the labels' {len(names)} classes: {_some(unknown)}; "
            f"its classes are {_some(known)}{hint or '; remove these images, or name the classes as the model does'}"
        )
    if (missing := [name for name in known if name not in names]) and not is_lax:
        raise DataError(
            f"{where}: {len(missing)} of the model's {len(known)} classes have no image: {_some(missing)}; {_ALLOWED}"
        )
    return np.array([known.index(name) for name in names], np.int64)


def _classes(  # noqa: PLR0913 - labels, and what they are matched with
    labels: Array, names: Sequence[str] | None, *, target: Target, where: str, count: int, is_lax: bool
) -> Array:
    plain = checked_labels(labels, where=where, num_images=count)
    values, numbers = np.unique(plain, return_inverse=True)
    listed = values.tolist()
    if names is not None and plain.dtype.kind == "i":
        if listed[-1] >= len(names):
            raise DataError(f"{where}: label {listed[-1]} has no name, there are only {len(names)} class names")
        listed = [names[value] for value in listed]
    places = places_of([str(value) for value in listed], target=target, where=where, is_lax=is_lax)
    found: Array = places[numbers.reshape(-1)].astype(np.int32)
    return found


def _flags(labels: Array, names: Sequence[str] | None, *, target: Target, where: str, is_lax: bool) -> Array:
    values, known = known_flags(labels, where=where, names=names)
    flags = flags_of(labels, where=where, values=values, size=len(known))
    places = places_of(known, target=target, where=where, is_lax=is_lax)
    found = np.zeros((len(flags), target.size), np.uint8)
    found[:, places] = flags
    return found


def _masks(  # noqa: PLR0913 - masks, and what they are matched with
    masks: Masks, names: Sequence[str] | None, *, target: Target, task: Task, where: str, is_lax: bool
) -> Array:
    counts = masks.counts()
    values, known = mask_classes({"train": counts}, where={"train": where}, names=names)
    pixels = list(values) if len(values) else list(range(len(known)))
    present = [at for at in range(len(known)) if counts[pixels[at]]]
    places = places_of([known[at] for at in present], target=target, where=where, is_lax=is_lax)
    table = np.full(UNCOUNTED + 1, UNCOUNTED, np.uint8)
    table[present] = places
    height, width, _ = task.input_shape
    batches = [table[class_of_pixels(batch, values=values)] for batch in masks.batches(height=height, width=width)]
    return np.concatenate(batches)


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:_MOST_NAMES]))
    return listed + (f", ... ({len(names)} in all)" if len(names) > _MOST_NAMES else "")
