"""From the incumbents of every contestant to a table: how good at the end, and how soon as good as anybody."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: How far from the best accuracy that anybody reached a model is good.
GOOD = 0.02
CONVFLEET = "convfleet"
#: The contestant that searches nothing: one script, one training.
SCRIPT = "plain_keras"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One contestant on one data set with one seed.

    Attributes:
        data_set: Its name.
        contestant: Its name.
        seed: Its seed.
        incumbents: The seconds at which each of its best models was there, and its accuracy on the test split.
        count: Images of the test split.
        problem: Why it does not count, in words; empty if it does.
    """

    data_set: str
    contestant: str
    seed: int
    incumbents: tuple[tuple[float, float], ...] = ()
    count: int = 0
    problem: str = ""

    @property
    def accuracy(self) -> float:
        """Of its last model; NaN without any."""
        return self.incumbents[-1][1] if self.incumbents else math.nan

    def seconds_to(self, accuracy: float) -> float:
        """Returns when its incumbent first was so accurate; infinity if none was."""
        return min((seconds for seconds, reached in self.incumbents if reached >= accuracy), default=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contestant on one data set, medians over its seeds.

    Attributes:
        contestant: Its name.
        accuracy: On the test split.
        interval: Wilson's, of 95 %, for the images of one test split.
        lowest: The lowest accuracy of any seed.
        seconds_to_good: Infinity where at least half of the seeds were not.
        num_seeds: How many count.
        num_failed: How many do not.
    """

    contestant: str
    accuracy: float
    interval: tuple[float, float]
    lowest: float
    seconds_to_good: float
    num_seeds: int
    num_failed: int


def rows_of(played: Sequence[Played]) -> list[Row]:
    """Returns a row for each contestant of one data set, the most accurate first."""
    from trainables.scores.interval import wilson_interval

    best = max((accuracy for item in played for _, accuracy in item.incumbents), default=math.nan)
    rows = []
    for name in dict.fromkeys(item.contestant for item in played):
        own = [item for item in played if item.contestant == name]
        whole = [item for item in own if item.incumbents]
        accuracy = statistics.median(item.accuracy for item in whole) if whole else math.nan
        rows.append(
            Row(
                contestant=name,
                accuracy=accuracy,
                interval=wilson_interval(accuracy, count=whole[0].count) if whole else (math.nan, math.nan),
                lowest=min((item.accuracy for item in whole), default=math.nan),
                seconds_to_good=statistics.median(item.seconds_to(best - GOOD) for item in own),
                num_seeds=len(whole),
                num_failed=len(own) - len(whole),
            )
        )
    return sorted(rows, key=lambda row: -math.inf if math.isnan(row.accuracy) else row.accuracy, reverse=True)


def verdict(tables: dict[str, list[Row]]) -> list[str]:
    """Returns in sentences whether convfleet is first, tied or behind, and how soon it is good.

    Where nobody else ever was good, the ratio of times is 0, and where convfleet alone never was, infinite.
    """
    first = tied = 0
    behind: list[str] = []
    ratios: dict[str, list[float]] = {"the soonest other tool": [], "the plain script": []}
    for name, rows in tables.items():
        own = next((row for row in rows if row.contestant == CONVFLEET and row.num_seeds), None)
        others = [row for row in rows if row.contestant != CONVFLEET and row.num_seeds]
        if own is None or not others:
            continue
        best = max(others, key=lambda row: row.accuracy)
        if own.accuracy >= best.accuracy:
            first += 1
        elif own.interval[1] >= best.interval[0]:
            tied += 1
        else:
            behind.append(f"{name} (by {best.accuracy - own.accuracy:.3f}, {best.contestant})")
        for whose, names in zip(ratios, ({row.contestant for row in others} - {SCRIPT}, {SCRIPT}), strict=True):
            compared = [row.seconds_to_good for row in others if row.contestant in names]
            soonest = min(compared, default=math.inf)
            if compared and not (math.isinf(own.seconds_to_good) and math.isinf(soonest)):
                ratios[whose].append(own.seconds_to_good / soonest if not math.isinf(soonest) else 0.0)
    said = [f"convfleet is first on {first}, tied on {tied} and behind on {len(behind)} data sets"]
    if behind:
        said.append("behind on " + ", ".join(behind))
    said += [
        f"its time to good is {statistics.median(found):.2f} of {whose}'s (median of {len(found)} data sets)"
        for whose, found in ratios.items()
        if found
    ]
    return said


def show(played: Sequence[Played], *, minutes: float) -> None:
    """Prints a table for each data set, and the verdict."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)
    tables: dict[str, list[Row]] = {}
    for name in dict.fromkeys(item.data_set for item in played):
        rows = tables[name] = rows_of([item for item in played if item.data_set == name])
        table = Table(
            *("contestant", "test accuracy", "95 %", "lowest", "seconds to good", "seeds"),
            title=f"{name}, {minutes:g} minutes each",
        )
        for row in rows:
            seeds = f"{row.num_seeds}" + (f" ({row.num_failed} without a model)" if row.num_failed else "")
            low, high = row.interval
            soon = "-" if math.isinf(row.seconds_to_good) else f"{row.seconds_to_good:.0f}"
            table.add_row(
                row.contestant, f"{row.accuracy:.3f}", f"{low:.3f} to {high:.3f}", f"{row.lowest:.3f}", soon, seeds
            )
        console.print(table)
    for sentence in verdict(tables):
        console.print(sentence)


def save(path: Path, record: dict[str, Any], played: Sequence[Played]) -> None:
    """Writes everything that was measured as JSON."""
    told = [{**{name: getattr(item, name) for name in Played.__slots__}, "accuracy": item.accuracy} for item in played]
    path.write_text(json.dumps({**record, "played": told}, indent=1), encoding="utf-8")
