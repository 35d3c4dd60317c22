"""One choice of a drafted study file."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A key of the study file with its value and the reason for it.

    Attributes:
        key: Such as `data.image_size`; at most two levels.
        value: As YAML has it; None: the key stays out, and the reason alone is written.
        reason: In words for the user; empty: the value speaks for itself.
    """

    key: str
    value: Any = None
    reason: str = ""
