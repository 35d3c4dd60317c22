"""Pictures that cannot be used: one error names all of a split, so that a set with many needs one run to mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainables.errors import DataError

#: Pictures that one error lists; the others are counted.
NUM_LISTED = 10
REPLACE = "replace or remove it"


class PictureError(DataError):
    """A picture that cannot be used.

    Args:
        message: What is wrong with the picture, without its place.
        fix: What the user can do.
    """

    def __init__(self, message: str, fix: str = REPLACE) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One picture that cannot be used: its place, what is wrong with it, and what the user can do."""

    where: str
    problem: str
    fix: str

    @classmethod
    def of(cls, where: str, exc: PictureError) -> Refusal:
        """Returns the refusal of a picture at a place."""
        return cls(where=where, problem=str(exc), fix=exc.fix)


def refused(refusals: Sequence[Refusal], *, total: int) -> DataError:
    """Returns the error for one or more pictures of a split.

    >>> print(refused([Refusal(where="a.png", problem="is torn", fix="remove it")], total=9))
    a.png: is torn; remove it

    Args:
        refusals: At least one.
        total: The pictures of the split.
    """
    first = refusals[0]
    if len(refusals) == 1:
        return DataError(f"{first.where}: {first.problem}; {first.fix}")
    listed = [f"  {refusal.where}: {refusal.problem}" for refusal in refusals[:NUM_LISTED]]
    rest = f"\n  and {len(refusals) - NUM_LISTED} more" if len(refusals) > NUM_LISTED else ""
    fixes = "; or ".join(dict.fromkeys(refusal.fix for refusal in refusals))
    lines = "\n".join(listed)
    return DataError(f"data: {len(refusals)} of {total} images cannot be used:\n{lines}{rest}\nOf each: {fixes}")
