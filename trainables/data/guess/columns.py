"""Which columns of a table are images, masks, labels and groups, by their values and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainables.errors import DataError

Kind = Literal["image", "mask", "flag", "whole", "number", "text", "list", "other"]

#: Words in names of columns, the most usual first.
_LABEL = ("label", "labels", "class", "target", "category", "y", "diagnosis", "species", "breed", "type")
_GROUP = ("patient", "subject", "person", "case", "specimen")
_NOT_LABELS = frozenset({"id", "index", "split", "fold", "set", "path", "width", "height", "unnamed", "date", "time"})
_IMAGE = frozenset({"image", "img", "picture", "photo", "file", "filename", "id"})
_MASKS = frozenset({"mask", "masks", "segmentation", "annotation"})
#: More classes than this, with few images each, are numbers to predict or names that say nothing.
_MOST_CLASSES, _FEWEST_EACH = 50, 4
_SEPARATORS = ("|", ";")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column of a table holds.

    Attributes:
        kind: By its values.
        num_distinct: Different values; 0 where they were not counted.
        num_rows: Rows of the table.
        separator: What parts several labels in one value; empty: nothing.
    """

    name: str
    kind: Kind
    num_distinct: int = 0
    num_rows: int = 0
    separator: str = ""

    @property
    def words(self) -> list[str]:
        """The words of its name, in small letters."""
        return [word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name).lower()) if word]

    @property
    def is_group(self) -> bool:
        """Whether its values name what the images of a row are of, such as a patient."""
        return bool(set(self.words).intersection(_GROUP)) and 1 < self.num_distinct < self.num_rows

    @property
    def may_be_label(self) -> bool:
        """Whether a model could learn it."""
        if self.kind in ("image", "mask", "other") or self.is_group or self.num_distinct == 1:
            return False
        if _NOT_LABELS.intersection(self.words):
            return False
        return self.kind in ("number", "list", "flag") or not self.is_name or self.kind == "whole"

    @property
    def is_name(self) -> bool:
        """Whether it has so many values that they are no classes."""
        return self.num_distinct > _MOST_CLASSES and self.num_distinct * _FEWEST_EACH > self.num_rows


def separator_of(values: Sequence[str]) -> str:
    """Returns what parts several labels in values of text; empty if nothing does."""
    return next((sign for sign in _SEPARATORS if sum(sign in value for value in values) * 20 >= len(values)), "")


def target_of(
    columns: Sequence[Column], *, label: str | None, one_hot: bool, where: str, joins: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the keys of the data section that name the labels, and their reasons.

    Args:
        columns: All columns of the table.
        label: The column that the user names; None: the one that fits.
        one_hot: Whether exactly one of the flags is set in every row.
        where: The table, for errors.
        joins: Whether the source takes several columns for one target.

    Raises:
        DataError: If no column fits, or several do.
    """
    masks = [column for column in columns if column.kind == "mask"]
    if label is None and masks:
        return _of_mask(masks[0])
    known = {column.name: column for column in columns}
    if label is not None and label not in known:
        raise DataError(f"--label {label}: {where} has no such column, its columns are {list(known)}; name one of them")
    fitting = [known[label]] if label is not None else [column for column in columns if column.may_be_label]
    chosen = _named(fitting) or (fitting[0] if len(fitting) == 1 else None)
    if chosen is not None:
        return _of_column(chosen)
    flags = [column.name for column in fitting if column.kind == "flag"]
    if joins and len(flags) > 1 and len(flags) == len(fitting):
        return _of_flags(flags, one_hot=one_hot)
    if not fitting:
        raise DataError(
            f"{where}: no column looks like labels, its columns are {list(known)}; name one with --label COLUMN"
        )
    raise DataError(
        f"{where}: several columns may be the label: {', '.join(column.name for column in fitting[:8])}; name it with "
        f"--label {fitting[-1].name}"
    )


def _named(columns: Sequence[Column]) -> Column | None:
    """Returns the column whose name says that it is the label."""
    for word in _LABEL:
        named = [column for column in columns if word in column.words]
        if len(named) == 1:
            return named[0]
    return None


def _of_mask(column: Column) -> tuple[dict[str, Any], dict[str, str]]:
    target: dict[str, Any] = {"kind": "mask"} | ({"column": column.name} if column.name != "mask" else {})
    return {"targets": {"mask": target}}, {"targets": f"the column {column.name!r} holds masks: a class for each pixel"}


def _of_flags(flags: Sequence[str], *, one_hot: bool) -> tuple[dict[str, Any], dict[str, str]]:
    kind = "classification" if one_hot else "multilabel"
    why = "exactly one of them is 1 in every row" if one_hot else "several or none of them may be 1 in a row"
    target: Mapping[str, Any] = {"kind": kind, "columns": list(flags)}
    return {"targets": {"label": target}}, {"targets": f"{len(flags)} columns of 0 and 1; {why}"}


def _of_column(column: Column) -> tuple[dict[str, Any], dict[str, str]]:
    name, distinct = column.name, column.num_distinct
    if column.separator or column.kind == "list":
        data: dict[str, Any] = {"targets": {"label": _target("multilabel", name)}}
        if column.separator:
            data["label_separator"] = column.separator
        return data, {"targets": f"the column {name!r} has several labels a row"}
    is_measure = column.kind == "number" or (column.kind == "whole" and column.is_name)
    if is_measure:
        words = f"the column {name!r} has {distinct} different numbers: a measure, not classes"
        return {"targets": {"label": _target("regression", name)}}, {"targets": words}
    data = {"label_column": name} if name != "label" else {}
    return data, {"label_column": f"{distinct} different values: classes" if distinct else "classes"} if data else {}


def _target(kind: str, column: str) -> dict[str, Any]:
    return {"kind": kind} | ({"column": column} if column != "label" else {})


def image_column(columns: Sequence[Column], *, where: str) -> Column:
    """Returns the column of the images.

    Raises:
        DataError: If none holds images, or several do.
    """
    images = [column for column in columns if column.kind == "image"]
    if not images:
        raise DataError(
            f"{where}: no column holds images or names of image files that lie there, its columns are "
            f"{[column.name for column in columns]}; give the folder of the images beside the table, or name another"
        )
    named = [column for column in images if _IMAGE.intersection(column.words)]
    if len(images) > 1 and len(named) != 1:
        raise DataError(
            f"{where}: several columns hold images: {', '.join(column.name for column in images)}; one image an "
            "example is guessed only: write the study file with inputs: [...]"
        )
    return named[0] if named else images[0]


def is_mask_name(name: str) -> bool:
    """Returns whether a column's name says that it holds masks."""
    return bool(_MASKS.intersection(Column(name=name, kind="other").words))
