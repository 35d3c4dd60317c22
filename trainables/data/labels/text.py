"""Decides whether texts are numbers, over all splits at once, so that they agree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from trainables.data.images.images import Array

Name = TypeVar("Name", bound=str)

#: What files write where a value is missing.
MISSING = frozenset({"", "nan", "NaN", "NAN", "NA", "N/A", "#N/A", "<NA>", "null", "NULL"})
#: Whole numbers as programs write them: 7, not 007, which is a name.
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?")


def numbers_or_text(texts: Mapping[Name, Sequence[str]]) -> dict[Name, Array]:
    """Returns int64 where every text of every split is a whole number, float64 where every one is a number, else text.

    >>> numbers_or_text({"train": ["7", "10"]})["train"].tolist(), numbers_or_text({"train": ["07"]})["train"].tolist()
    ([7, 10], ['07'])
    """
    if all(is_whole(text) for values in texts.values() for text in values):
        return {split: np.array([int(text) for text in values], np.int64) for split, values in texts.items()}
    if all(is_number(text) for values in texts.values() for text in values):
        return {split: np.array([float(text) for text in values]) for split, values in texts.items()}
    return {split: np.array(values, np.str_) for split, values in texts.items()}


def is_whole(text: str) -> bool:
    """Returns whether a text is a whole number as programs write it."""
    return bool(_WHOLE.fullmatch(text))


def is_number(text: str) -> bool:
    """Returns whether a text is a finite number as programs write it; 007 and nan are none.

    >>> [is_number(text) for text in ("7", "-0.5", ".5", "1e-3", "007", "nan", ".", "")]
    [True, True, True, True, False, False, False, False]
    """
    return bool(_NUMBER.fullmatch(text)) and any(sign.isdigit() for sign in text.lower().partition("e")[0])
