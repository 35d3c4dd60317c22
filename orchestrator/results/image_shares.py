"""Metrics that are shares of images: their intervals, which ranks are tied, and what luck added to the best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.results.chance import (
    difference_p_value,
    do_overlap,
    expected_drop,
)
from orchestrator.results.from_state import leaders
from orchestrator.results.ranking import RANKED_STATES
from orchestrator.runs.environment_file import last_data
from orchestrator.runs.paths import RunFolder
from orchestrator.text import number
from trainables.scores.interval import CONFIDENCE, wilson_interval

Interval = tuple[float, float]

#: A drop of no more than this is not worth a sentence.
_SMALL_DROP = 0.02
_SPLITS = {"val": "validation", "test": "test"}
#: How far a share may be from a whole number of images: metrics are float32.
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShares:
    """Which metrics of a study are shares of images, and of how many; empty for runs of versions that wrote nothing.

    Attributes:
        metrics: Such as accuracy, without the split.
        images: The number of images by split.
    """

    metrics: frozenset[str] = frozenset()
    images: Mapping[str, int] = field(default_factory=dict)

    def count(self, metric: str) -> int:
        """Returns how many images a metric is a share of; 0 for a metric that is no share of the images of a split.

        Args:
            metric: With its split, such as val_accuracy.
        """
        split, _, name = metric.partition("_")
        return self.images.get(_SPLITS.get(split, ""), 0) if name in self.metrics else 0

    def interval(self, metric: str, value: float | None) -> Interval | None:
        """Returns Wilson's interval of 95 % for a metric's value; None for what is no share of so many images.

        A model of a user's own may report something else by the name of a share.

        Args:
            metric: With its split, such as val_accuracy.
            value: As reported.
        """
        count = self.count(metric)
        if not count or value is None or not 0.0 <= value <= 1.0:
            return None
        if abs(value * count - round(value * count)) > _ROUNDING * max(1.0, count / 10_000):
            return None
        return wilson_interval(value, count=count)

    def in_words(self, metric: str, value: float | None, *, is_named: bool = True) -> str:
        """Returns a metric's value as text, with its interval if it has one.

        >>> shares = ImageShares(metrics=frozenset({"accuracy"}), images={"test": 100})
        >>> shares.in_words("test_accuracy", 0.9), shares.in_words("test_loss", 0.25)
        ('test_accuracy 0.9 (0.83-0.94)', 'test_loss 0.25')

        Args:
            metric: With its split, such as val_accuracy.
            value: As reported.
            is_named: Whether the text begins with the metric's name.
        """
        interval = self.interval(metric, value)
        ends = f" ({interval_in_words(interval)})" if interval is not None else ""
        return f"{f'{metric} ' if is_named else ''}{number(value)}{ends}"

    def rank_labels(self, metric: str, values: Sequence[float]) -> list[str]:
        """Returns the ranks of a leaderboard as shown: `1=` where intervals overlap with that of the first.

        >>> shares = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 100})
        >>> shares.rank_labels("val_accuracy", [0.9, 0.85, 0.5]), shares.rank_labels("val_loss", [0.1, 0.2])
        (['1=', '1=', '3'], ['1', '2'])

        Args:
            metric: The objective's.
            values: Best first.
        """
        intervals = [self.interval(metric, value) for value in values]
        best = intervals[0] if intervals else None
        is_tied = [best is not None and item is not None and do_overlap(best, item) for item in intervals]
        return ["1=" if tied and sum(is_tied) > 1 else str(rank) for rank, tied in enumerate(is_tied, start=1)]


def image_shares(folder: RunFolder) -> ImageShares:
    """Returns what the last session wrote of metrics that are shares of images."""
    kept = last_data(folder).get("shares")
    metrics, images = (kept.get("metrics"), kept.get("images")) if isinstance(kept, dict) else (None, None)
    if not isinstance(metrics, list):
        return ImageShares()
    return ImageShares(metrics=frozenset(name for name in metrics if isinstance(name, str)), images=read_counts(images))


def read_counts(images: object) -> dict[str, int]:
    """Returns the numbers of images by split that a file has; without what is no such number.

    >>> read_counts({"validation": 14, "test": "x"}), read_counts(None)
    ({'validation': 14}, {})
    """
    if not isinstance(images, dict):
        return {}
    return {split: count for split, count in images.items() if type(count) is int and count > 0}


def interval_in_words(interval: Interval | None) -> str:
    """Returns an interval as text; an empty one for None.

    >>> interval_in_words((0.2684, 0.7316)), interval_in_words((0.99151, 1.0)), interval_in_words(None)
    ('0.27-0.73', '0.992-1.000', '')
    """
    if interval is None:
        return ""
    digits = 2 if interval[1] - interval[0] >= 0.02 else 3 if interval[1] - interval[0] >= 0.002 else 4
    return "-".join(f"{end:.{digits}f}" for end in interval)


def chance_notes(state: StudyState, shares: ImageShares) -> list[str]:
    """Returns sentences about what luck added to the best value, and about exports whose test value differs by more.

    Args:
        state: The study.
        shares: Its metrics that are shares of images.
    """
    return [note for note in (_best_of(state, shares), *_gaps(state, shares)) if note]


def _best_of(state: StudyState, shares: ImageShares) -> str:
    state = search_alone(state)
    metric, count = state.header.metric, shares.count(state.header.metric)
    board = leaders(state, k=1)
    if not count or not board or state.header.mode != "max":
        return ""
    best = board[0][1].metrics[metric]
    trials = [trial for trial in list(state.trials.values()) if trial.state in RANKED_STATES and trial.reports]
    # Every report was a candidate: the best epoch of a trial is chosen by the same images.
    values = [report.metrics.get(metric) for trial in trials for report in list(trial.reports)]
    hits = Counter(round(value * count) for value in values if value is not None and 0.0 <= value <= 1.0)
    if shares.interval(metric, best) is None or max(hits) != round(best * count):
        return ""
    drop = expected_drop(hits, count=count)
    if drop <= _SMALL_DROP:
        return ""
    chosen = f"{len(trials)} trials" if len(trials) > 1 else f"{len(values)} epochs"
    return f"best of {chosen} on {count:,} validation images: expect about {drop:.2f} less on new ones"


def _gaps(state: StudyState, shares: ImageShares) -> list[str]:
    metric = state.header.metric
    split, _, name = metric.partition("_")
    counts = shares.count(metric), shares.count(f"test_{name}")
    if split != "val" or not all(counts):
        return []
    notes = []
    for item in sorted(state.exports, key=lambda item: item.rank):
        trial = state.trials.get(item.trial)
        best = None if trial is None else trial.best_report(**state.header.ranking)
        found = item.test_metrics.get(name, item.test_metrics.get(f"test_{name}"))
        if best is None or found is None:
            continue
        value = best.metrics[metric]
        if shares.interval(metric, value) is None or shares.interval(f"test_{name}", found) is None:
            continue
        p_value = difference_p_value(value, found, counts=counts)
        if p_value < 1 - CONFIDENCE:
            notes.append(_gap_in_words(item.trial, name=name, values=(value, found), counts=counts, p_value=p_value))
    return notes


def _gap_in_words(
    trial: str, *, name: str, values: tuple[float, float], counts: tuple[int, int], p_value: float
) -> str:
    gap = values[0] - values[1]
    seldom = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
    why = "go by the test value" if gap > 0 else "the two splits are not alike"
    return (
        f"{trial}: {name} {number(values[0])} on {counts[0]:,} validation images and {number(values[1])} on "
        f"{counts[1]:,} test images, {abs(gap):.2f} {'less' if gap > 0 else 'more'}: more than chance allows "
        f"({seldom}); {why}"
    )
