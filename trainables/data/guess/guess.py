"""The data section that a file or a folder suggests, each key with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGuess:
    """What lies at a place.

    Attributes:
        data: The data section: its source, paths and columns, paths absolute.
        reasons: Why, in words for the user, by key of the section.
        notes: What lies there as well and is not read.
    """

    data: Mapping[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def plus(self, data: Mapping[str, Any], reasons: Mapping[str, str], *notes: str) -> DataGuess:
        """Returns this guess with more keys."""
        return DataGuess(data={**self.data, **data}, reasons={**self.reasons, **reasons}, notes=(*self.notes, *notes))
