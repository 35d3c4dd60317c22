"""The learning curves of two trials at equal epochs, and where they cross."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.fleet.model import FleetModel

Side = Literal["first", "second"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """An epoch from which on the other trial is ahead.

    Attributes:
        epoch: The first epoch at which it is better.
        ahead: Which trial is better from there on.
    """

    epoch: int
    ahead: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePair:
    """A metric of two trials.

    Attributes:
        metric: Its name.
        mode: max or min: what is better.
        epochs: Those that both trials reported it at, ascending.
        first: The first trial's values at these epochs.
        second: The second trial's values.
        crossings: Where the curves cross.
    """

    metric: str
    mode: str
    epochs: tuple[int, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    crossings: tuple[Crossing, ...]

    @property
    def num_ahead(self) -> tuple[int, int]:
        """At how many epochs the first trial is better, and at how many the second."""
        sides = [_ahead(one, other, mode=self.mode) for one, other in zip(self.first, self.second, strict=True)]
        return sides.count("first"), sides.count("second")


def curve_pair(metric: str, *, first: Mapping[int, float], second: Mapping[int, float], mode: str) -> CurvePair:
    """Returns two curves at the epochs that both have.

    >>> pair = curve_pair("val_loss", first={1: 0.9, 2: 0.5, 3: 0.3}, second={1: 0.8, 2: 0.5, 3: 0.4}, mode="min")
    >>> pair.crossings
    (Crossing(epoch=3, ahead='first'),)

    Args:
        metric: Its name.
        first: The first trial's values by epoch.
        second: The second trial's values by epoch.
        mode: What is better.
    """
    epochs = sorted(first.keys() & second.keys())
    crossings: list[Crossing] = []
    leader: Side | None = None
    for epoch in epochs:
        ahead = _ahead(first[epoch], second[epoch], mode=mode)
        if ahead is not None and leader is not None and ahead != leader:
            crossings.append(Crossing(epoch=epoch, ahead=ahead))
        leader = ahead or leader
    return CurvePair(
        metric=metric,
        mode=mode,
        epochs=tuple(epochs),
        first=tuple(first[epoch] for epoch in epochs),
        second=tuple(second[epoch] for epoch in epochs),
        crossings=tuple(crossings),
    )


def metrics_of_both(first: FleetModel, second: FleetModel) -> list[str]:
    """Returns the metrics that both trials reported, validation first."""
    names = [{name for report in model.trial.reports for name in report.metrics} for model in (first, second)]
    return sorted(names[0] & names[1], key=lambda name: (not name.startswith("val_"), name))


def _ahead(first: float, second: float, *, mode: str) -> Side | None:
    if first == second:
        return None
    return "first" if (first > second) == (mode == "max") else "second"
