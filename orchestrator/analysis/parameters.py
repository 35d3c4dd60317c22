"""The parameters of compared trials as columns, and as coordinates for models of the objective."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.journal.trial import Trial
from search_spaces.axes import is_number
from search_spaces.domains.values import Value, identity

Array = np.ndarray

FAMILY = "family"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The values of one parameter, in the order of the trials.

    All follows from values that trials had: the scale of a range does not matter, and neither does what a family or a
    builder of the user's makes of them.

    Attributes:
        name: The parameter's; `family` for the model family.
        levels: The distinct values: numbers ascend, others have an order without meaning.
        places: Of each trial, the index of its level; -1 where the parameter is inactive.
        is_ordered: Whether all values are numbers.
    """

    name: str
    levels: Sequence[Value]
    places: Array
    is_ordered: bool

    @property
    def is_active(self) -> Array:
        """In which trials the parameter is active."""
        return self.places >= 0

    @property
    def is_conditional(self) -> bool:
        """Whether some trial lacks the parameter."""
        return not bool(self.is_active.all())

    def varies_among(self, rows: Array) -> bool:
        """Returns whether these trials all have the parameter, and not all the same value."""
        places = self.places[rows]
        return bool(len(places)) and bool(places.min() >= 0) and bool(np.ptp(places) > 0)


def columns_of(trials: Sequence[Trial]) -> list[Column]:
    """Returns the parameters that have several values among the trials, by name."""
    names = sorted({FAMILY, *(name for trial in trials for name in trial.variant.params)})
    columns = [_column(name, trials) for name in names]
    return [column for column in columns if len(column.levels) > 1]


def features_of(columns: Sequence[Column], places: Array) -> Array:
    """Returns coordinates from 0 to 1: one for a parameter of numbers or two options, else one for each option.

    Args:
        columns: Parameters that are active in all of these trials.
        places: The index of the level of each trial and parameter, (count, parameters).

    Returns:
        float32 (count, coordinates).
    """
    parts = []
    for place, column in zip(places.T, columns, strict=True):
        size = len(column.levels)
        if column.is_ordered or size == 2:
            parts.append(place[:, None] / (size - 1))
        else:
            parts.append(place[:, None] == np.arange(size))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _column(name: str, trials: Sequence[Trial]) -> Column:
    has = [name == FAMILY or name in trial.variant.params for trial in trials]
    values = [
        (trial.variant.family if name == FAMILY else trial.variant.params[name]) if there else None
        for trial, there in zip(trials, has, strict=True)
    ]
    known = [value for value, there in zip(values, has, strict=True) if there]
    is_ordered = all(is_number(value) for value in known)
    # Options are told apart by kind, too: 1, "1" and True are three. Of numbers, 1 and 1.0 are one.
    keys: list[Any] = [value if is_ordered else identity(value) for value in known]
    by_key = dict(zip(keys, known, strict=True))
    ranks = {key: rank for rank, key in enumerate(sorted(by_key))}
    found = iter(keys)
    places = np.array([ranks[next(found)] if there else -1 for there in has], int)
    return Column(name=name, levels=[by_key[key] for key in ranks], places=places, is_ordered=is_ordered)
