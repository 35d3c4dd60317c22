"""Advice for a study whose best trials lie at an end of a searched range."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.advice.evidence import NUM_BEST, Evidence
from orchestrator.text import number
from search_spaces import Float, Int, Parameter
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING

#: The part of a continuous range, on its own scale, that counts as its end.
END = 0.1
#: Fewer values are a choice, not a range: one of four lies at an end too easily.
MIN_VALUES = 5
#: So seldom may that many of the best lie at one end by accident, if a parameter does not matter.
LUCK = 0.001
#: The search has to have looked at so many trials before its range is judged.
MIN_TRIALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """One end of a range.

    Attributes:
        value: The lowest or the highest.
        share: The part of the range that lies at this end.
        limit: The last value that counts as at the end.
    """

    name: str
    value: float
    share: float
    limit: float

    @property
    def num_best(self) -> int:
        """How many of the best have to lie at this end, so that it is no accident."""
        return max(NUM_BEST, math.ceil(math.log(LUCK) / math.log(self.share) - 1e-9))

    def has(self, value: object) -> bool:
        """Returns whether a value lies at this end."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return value >= self.limit if self.name == "upper" else value <= self.limit


def edges(evidence: Evidence) -> list[str]:
    """Returns a sentence for each parameter whose best values lie at an end of its range that can be widened.

    Args:
        evidence: The study's; nothing follows where its space is not known.
    """
    if evidence.space is None or len(evidence.board) < MIN_TRIALS:
        return []
    found = []
    for parameter in evidence.space.parameters:
        for end in _ends(parameter):
            # Half of the trials at most, so that there are others that the best are better than.
            best = evidence.board[: end.num_best]
            if 2 * len(best) <= len(evidence.board) and all(
                end.has(trial.variant.params.get(parameter.name)) for trial, _ in best
            ):
                if not _can_widen(parameter.name, end, families=evidence.space.families):
                    continue
                found.append(
                    f"{parameter.name}: the best {len(best)} trials are at the {end.name} end {number(end.value)} of "
                    "its range; widen it"
                )
    return found


def _ends(parameter: Parameter) -> Iterator[_End]:
    """Yields both ends of a parameter that is searched over a range; nothing for others."""
    domain = parameter.domain
    if not isinstance(domain, Float | Int) or domain.low == domain.high:
        return
    size = domain.size
    if size is not None and size < MIN_VALUES:
        return
    low, high = float(domain.low), float(domain.high)
    if size is not None and size * END <= 1.0:
        yield _End(name="lower", value=low, share=1 / size, limit=low)
        yield _End(name="upper", value=high, share=1 / size, limit=high)
    elif domain.log:
        step = (high / low) ** END
        yield _End(name="lower", value=low, share=END, limit=low * step)
        yield _End(name="upper", value=high, share=END, limit=high / step)
    else:
        step = (high - low) * END
        yield _End(name="lower", value=low, share=END, limit=low + step)
        yield _End(name="upper", value=high, share=END, limit=high - step)


def _can_widen(name: str, end: _End, *, families: tuple[str, ...]) -> bool:
    """Returns whether values beyond an end are allowed, so far as the parameter is one that is known."""
    infos = [{**TRAINING, **FAMILIES[family].parameters}.get(name) for family in families if family in FAMILIES]
    known = [info for info in infos if info is not None]
    if end.name == "upper":
        return all(info.high is None or end.value < info.high for info in known)
    return all(info.low is None or end.value > info.low for info in known)
