"""From rounds of measurements to medians and ratios."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BASELINE = "convfleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one peer took in one round.

    Args:
        peer: Who.
        round: Counted from 1; rounds are compared with each other.
        wall_seconds: What it took; infinite where a target was not reached.
        cpu_seconds: Of all its processes.
        problem: Why the measurement does not count, in words; empty if it does.
        details: More about it, for the file.
    """

    peer: str
    round: int
    wall_seconds: float
    cpu_seconds: float
    problem: str = ""
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one peer took over all rounds that count.

    Args:
        peer: Who.
        num_rounds: How many rounds count.
        num_failed: How many do not.
        wall_seconds: The median; NaN without any round.
        fastest, slowest: The extremes of the same.
        cpu_seconds: The median.
        ratio: convfleet's wall seconds over this peer's, the median of the rounds that both have; NaN without any,
            0 where this peer alone did not reach the target, infinite where convfleet did not.
    """

    peer: str
    num_rounds: int
    num_failed: int
    wall_seconds: float
    fastest: float
    slowest: float
    cpu_seconds: float
    ratio: float


def summarise(outcomes: Iterable[Outcome]) -> list[Summary]:
    """Returns one summary a peer, in the order they first appear.

    >>> outcomes = [Outcome(peer=peer, round=number, wall_seconds=wall, cpu_seconds=2 * wall)
    ...             for number, walls in enumerate([(10, 20), (12, 16)], start=1)
    ...             for peer, wall in zip(["convfleet", "other"], walls)]
    >>> [(summary.peer, summary.wall_seconds, summary.ratio) for summary in summarise(outcomes)]
    [('convfleet', 11.0, 1.0), ('other', 18.0, 0.625)]
    """
    listed = list(outcomes)
    own = {
        outcome.round: outcome.wall_seconds for outcome in listed if outcome.peer == BASELINE and not outcome.problem
    }
    return [
        _summary(peer, [outcome for outcome in listed if outcome.peer == peer], own=own)
        for peer in dict.fromkeys(outcome.peer for outcome in listed)
    ]


def _summary(peer: str, outcomes: Sequence[Outcome], *, own: Mapping[int, float]) -> Summary:
    good = [outcome for outcome in outcomes if not outcome.problem]
    walls = [outcome.wall_seconds for outcome in good]
    ratios = [
        own[outcome.round] / outcome.wall_seconds
        for outcome in good
        # Of two that did not arrive neither was faster; one that did not is infinitely slower than one that did.
        if outcome.round in own and math.isfinite(min(own[outcome.round], outcome.wall_seconds))
    ]
    return Summary(
        peer=peer,
        num_rounds=len(good),
        num_failed=len(outcomes) - len(good),
        wall_seconds=median(walls),
        fastest=min(walls, default=math.nan),
        slowest=max(walls, default=math.nan),
        cpu_seconds=median([outcome.cpu_seconds for outcome in good]),
        ratio=median(ratios),
    )


def median(values: Sequence[float]) -> float:
    """Returns the median, NaN of nothing; of an even number of values that are not all finite, the upper one.

    >>> median([3.0, 1.0]), median([]), median([1.0, math.inf])
    (2.0, nan, inf)
    """
    return float(statistics.median(values)) if values else math.nan


def told(value: float, *, digits: int = 1, otherwise: str = "-") -> str:
    """Returns a number for people.

    >>> told(3.14159, digits=2), told(math.nan), told(math.inf, otherwise="not reached")
    ('3.14', '-', 'not reached')
    """
    return f"{value:,.{digits}f}" if math.isfinite(value) else otherwise


def save(path: Path, record: Mapping[str, Any], outcomes: Iterable[Outcome]) -> None:
    """Writes a comparison as far as it is; seconds that are not finite are null."""
    rows = [asdict(outcome) for outcome in outcomes]
    for row in rows:
        row["wall_seconds"] = row["wall_seconds"] if math.isfinite(row["wall_seconds"]) else None
    path.write_text(json.dumps({**record, "outcomes": rows}, indent=1), encoding="utf-8")
