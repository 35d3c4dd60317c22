"""Courses of trials that nobody has trained: what they cost is predicted, how well they learn is drawn."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.journal.records import TrialFailed
from orchestrator.journal.trial import Trial
from orchestrator.planning.courses import Course
from orchestrator.planning.prices import Price
from orchestrator.runs.paths import trial_name
from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.patience import with_patience
from trainables.reports import EpochReport, FailureKind
from trainables.worker.trace_cache import MAX_KEPT, trace_key

#: The standard deviation of an epoch's value around its curve, where the ends of curves lie between 0 and 1.
NOISE = 0.02
#: The most that a trial's price says of its height, as a share of it: more filters, blocks and steps an epoch cost more
#: and mostly learn more in as many epochs.
_MOST_BY_PRICE = 0.6
#: Epochs after which a curve has half of its height, from and to, as a share of all epochs.
_HALF = 0.02, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How a study's trials are drawn.

    Attributes:
        prices: Of the sampled variants.
        num_trials: How many trials there are.
        max_epochs: Epochs of a trial that nothing stops.
        metric: The objective's name.
        mode: max or min.
        cpus: CPUs of a trial.
        fresh_share: The share of trials that begin with building and tracing; the others find that done.
        num_settled: How many of the first trials have the sampled variants, in their order.
        error: By about which share a variant's predicted seconds are wrong.
        swing: By about which share the whole study is slower or faster than the machine was when it was measured.
    """

    prices: Sequence[Price]
    num_trials: int
    max_epochs: int
    metric: str
    mode: str
    cpus: float = 1.0
    fresh_share: float = 1.0
    num_settled: int = 0
    error: float = 0.0
    swing: float = 0.0


def drawn_courses(draws: Draws, random: np.random.Generator) -> list[Course]:
    """Returns the courses of one study's trials.

    A trial ends at a height drawn between 0 and 1, mostly a higher one if its epochs are dearer, on a curve that rises
    at a pace of its own, with a noise so small that trials mostly keep their order.

    Args:
        draws: What they are drawn from.
        random: Equal generators, equal courses.
    """
    count, epochs = draws.num_trials, np.arange(1, draws.max_epochs + 1)
    places = random.integers(len(draws.prices), size=count)
    places[: draws.num_settled] = np.arange(draws.num_settled)
    low, high = _HALF
    half = low * (high / low) ** random.random((count, 1)) * draws.max_epochs
    noise = random.normal(0.0, NOISE, size=(count, draws.max_epochs))
    heights = _heights([draws.prices[place].epoch_seconds for place in places], random)
    values = heights[:, None] * epochs / (epochs + half) + noise
    values = (values if draws.mode == "max" else -values).tolist()
    is_fresh = random.random(count) < draws.fresh_share
    # Of means 1: as much is gained by those that are cheaper than predicted as is lost by the others.
    swing = random.normal(-(draws.swing**2) / 2, draws.swing)
    pace = np.exp(swing + random.normal(-(draws.error**2) / 2, draws.error, size=count)).tolist()
    return [
        _course(draws, number, draws.prices[place], pace=pace[number], values=values[number], is_fresh=is_fresh[number])
        for number, place in enumerate(places)
    ]


def _heights(seconds: Sequence[float], random: np.random.Generator) -> np.ndarray:
    """Returns the heights that curves end at, between 0 and 1; those of dearer trials are higher, if not by how much.

    Args:
        seconds: What an epoch of each trial takes.
        random: Draws them, and how much a trial's price says of its height.
    """
    dearer = np.searchsorted(np.sort(seconds), seconds) / len(seconds)
    weight = random.uniform(0.0, _MOST_BY_PRICE)
    return (1 - weight) * random.random(len(seconds)) + weight * dearer


def fresh_share(variants: Sequence[Variant], *, slots: int) -> float:
    """Returns the share of trials that find no training of their architecture in their worker.

    Args:
        variants: Of the trials, in their order; workers take turns.
        slots: How many workers there are.
    """
    workers = [OrderedDict[Hashable, None]() for _ in range(slots)]
    num_fresh = 0
    for number, variant in enumerate(variants):
        kept, key = workers[number % slots], trace_key(variant)
        num_fresh += key not in kept
        kept[key] = None
        kept.move_to_end(key)
        if len(kept) > MAX_KEPT:
            kept.popitem(last=False)
    return num_fresh / len(variants) if variants else 1.0


def _course(  # noqa: PLR0913 - what was drawn for a trial
    draws: Draws, number: int, price: Price, *, pace: float, values: Sequence[float], is_fresh: bool
) -> Course:
    trial = Trial(
        name=trial_name(number),
        number=number,
        variant=price.variant,
        proposed_at=0.0,
        worker={"cpus": float(draws.cpus)},
    )
    start = pace * (price.start_seconds if is_fresh else price.restart_seconds)
    if price.problem:
        failure = TrialFailed(trial=trial.name, kind=FailureKind.INFEASIBLE, reason=price.problem, at=0.0)
        return Course(trial=trial, seconds=(), failure=failure, failing_seconds=start)
    trial.reports = _reports(draws, price, pace=pace, values=values)
    epoch = pace * price.epoch_seconds
    return Course(trial=trial, seconds=(start + epoch, *[epoch] * (len(trial.reports) - 1)))


def _reports(draws: Draws, price: Price, *, pace: float, values: Sequence[float]) -> list[EpochReport]:
    train, other = pace * price.train_seconds, {"validate": pace * price.other_seconds}
    params = FAMILIES[price.variant.family].with_defaults(price.variant.params)
    patience, min_delta = params["patience"], params["min_delta"]
    reports: list[EpochReport] = []
    for epoch, value in enumerate(values, start=1):
        report = EpochReport(
            epoch=epoch,
            metrics={draws.metric: value},
            train_seconds=train,
            images_per_second=0.0,
            overhead_seconds=other,
            is_last=epoch == len(values),
        )
        if patience:
            report = with_patience(
                report, reports, metric=draws.metric, mode=draws.mode, patience=patience, min_delta=min_delta
            )
        reports.append(report)
        if report.is_last:
            return reports
    return reports
