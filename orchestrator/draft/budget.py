"""Chooses how many trials, how long, and what comes out."""

import math
from collections.abc import Iterator

from orchestrator.draft.choice import Choice
from orchestrator.errors import InputError
from trainables.specs.dataset import DatasetInfo

_FEWEST_TRIALS, _MOST_TRIALS, _TRIALS_A_MINUTE = 8, 200, 4
#: The most that transfer-small freezes a backbone for.
_FROZEN_EPOCHS = 3
#: Minutes of two years.
_LONGEST = 1_000_000
#: With fewer validation images, more trials than this would pick the luckiest one.
_FEW_VALIDATION, _TRIALS_OF_FEW = 200, 20
#: With fewer, `schedule.repeats: auto` is more than one.
VERY_FEW_VALIDATION = 100
#: The most splits that `schedule.repeats: auto` is.
_MOST_REPEATS = 3


def search_minutes(minutes: float) -> float:
    """Returns how long a study may search so that exports end within the minutes as well.

    >>> search_minutes(10), search_minutes(1)
    (9.0, 0.6)

    Raises:
        InputError: If it is no number above 0.
    """
    if not 0 < minutes < _LONGEST:
        raise InputError(f"--minutes: expected a number above 0, got {minutes!r}; for example --minutes 10")
    return round(minutes - min(1.0, 0.4 * minutes), 2)


def budget_choices(
    dataset: DatasetInfo, *, minutes: float, is_transfer: bool = False, has_portfolio: bool = False
) -> Iterator[Choice]:
    """Yields the keys of search, schedule and export.

    Args:
        dataset: The prepared data.
        minutes: How long the study may take.
        is_transfer: Whether variants begin with a frozen backbone.
        has_portfolio: Whether there are variants of the space that go first.
    """
    trials = max(_FEWEST_TRIALS, min(_MOST_TRIALS, round(_TRIALS_A_MINUTE * minutes)))
    reason = "at most; the time may end the study before"
    if dataset.num_validation < _FEW_VALIDATION and trials > _TRIALS_OF_FEW:
        trials = _TRIALS_OF_FEW
        reason = f"more of them would find the luckiest on {dataset.num_validation:,} validation images, not the best"
    yield Choice(key="search.trials", value=trials, reason=reason)
    reason = f"of {minutes:g}: the rest is for exporting; then no trial begins, and those under way stop"
    yield Choice(key="search.minutes", value=search_minutes(minutes), reason=reason)
    if is_perfect_possible(dataset):
        reason = "with every validation image right, more variants could only be as good; those under way go on"
        yield Choice(key="search.target", value=1.0, reason=reason)
    if has_portfolio:
        reason = "a few variants that were good on other images of about so many go first; none: the search's own alone"
        yield Choice(key="search.start_with", value="auto", reason=reason)
    reason = "weak variants stop early, so that good ones get the time"
    yield Choice(key="schedule.algorithm", value="asha", reason=reason)
    reason = "as many as make a thousand steps of the optimizer, ten thousand with many images; few need more epochs"
    yield Choice(key="schedule.max_epochs", value="auto", reason=reason)
    reason = "no variant is judged before enough steps, nor by too few validation images"
    grace: int | str = "auto"
    if is_transfer:
        grace, reason = _FROZEN_EPOCHS + 1, "no variant is judged while its backbone is frozen, for up to three epochs"
    yield Choice(key="schedule.grace_epochs", value=grace, reason=reason)
    if dataset.is_validation_carved and dataset.num_validation < VERY_FEW_VALIDATION:
        reason = (
            "each trial trains on up to three splits at once and its metrics are means over them, as "
            f"{dataset.num_validation:,} validation images leave much to luck; 1: one split, as much quicker"
        )
        yield Choice(key="schedule.repeats", value="auto", reason=reason)
    reason = "the best model, verified; `convfleet export` makes more of them later"
    yield Choice(key="export.top", value=1, reason=reason)


def is_perfect_possible(dataset: DatasetInfo) -> bool:
    """Returns whether a study may end with its first variant that is always right: its classes have images enough.

    Args:
        dataset: The prepared data.
    """
    held = dataset.num_validation
    if held and dataset.is_validation_carved:
        # As `schedule.repeats: auto` pools them.
        held *= min(_MOST_REPEATS, math.ceil(VERY_FEW_VALIDATION / held))
    return [target.kind for target in dataset.task.targets] == ["classification"] and held >= VERY_FEW_VALIDATION
