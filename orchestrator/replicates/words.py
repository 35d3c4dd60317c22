"""What training the best variants again has shown, as text for people."""

from collections.abc import Iterator
from typing import Any

from orchestrator.journal.study_state import StudyState
from orchestrator.replicates.from_state import Replicated, count_of, replicated, standing_of
from orchestrator.replicates.race import Leaving
from orchestrator.text import number


def mean_in_words(item: Replicated | None) -> str:
    """Returns a mean with its interval and the number of values; an empty text for a trial without one.

    Args:
        item: What training the trial again has shown; None: nothing.
    """
    if item is None or item.mean is None:
        return ""
    interval = f"{_ends(item.interval)}, " if item.interval is not None else ""
    return f"{number(item.mean)} ({interval}of {len(item.values)}{' folds' if item.folds else ''})"


def leaving_in_words(leaving: Leaving, *, mode: str) -> str:
    """Returns why a contender is trained no more.

    >>> ends = {"interval": (0.71, 0.74), "rival_interval": (0.8, 0.84)}
    >>> leaving_in_words(Leaving(trial="t3", rival="t1", confidence=0.95, count=4, **ends), mode="max")
    't3 is not trained again after 4 replicates: its mean is 0.71 to 0.74, below that of t1, 0.80 to 0.84 (95 %)'

    Args:
        leaving: How it left the race.
        mode: `max` or `min`.
    """
    side = "below" if mode == "max" else "above"
    own, rival = _ends(leaving.interval), _ends(leaving.rival_interval)
    return (
        f"{leaving.trial} is not trained again after {leaving.count} replicates: its mean is {own}, {side} that of "
        f"{leaving.rival}, {rival} ({100 * leaving.confidence:.3g} %)"
    )


def replicate_notes(state: StudyState) -> list[str]:
    """Returns sentences about the race of the best variants; none for a study without one.

    Args:
        state: The study, also while it runs.
    """
    return list(_notes(state)) if state.header.replicates or state.replicates else []


def progress_in_words(state: StudyState) -> str:
    """Returns how many replicates have ended; an empty text before the first.

    Args:
        state: The study.
    """
    if not state.replicates:
        return ""
    count = count_of(state)
    most = "" if standing_of(state).is_over else "at most "
    return f"{count.ended} of {most}{count.wanted} replicates ended"


def replicates_json(state: StudyState) -> list[dict[str, Any]]:
    """Returns what training variants again has shown as JSON-ready mappings, best first.

    Args:
        state: The study.
    """
    return [
        {
            "trial": item.trial,
            "replicates": list(state.replicates[item.trial]),
            "values": list(item.values),
            **({"folds": list(item.folds)} if item.folds else {}),
            "mean": item.mean,
            "interval": None if item.interval is None else list(item.interval),
            "num_failed": item.num_failed,
            "is_tied": item.is_tied,
            "left": leaving_in_words(item.leaving, mode=state.header.mode) if item.leaving is not None else "",
        }
        for item in replicated(state)
    ]


def _ends(interval: tuple[float, float]) -> str:
    """Returns the ends of an interval, which may be negative or large, as text.

    >>> _ends((-0.1123, 0.75)), _ends((0.9121, 0.9199)), _ends((1234.5, 1320.0))
    ('-0.11 to 0.75', '0.912 to 0.920', '1234.50 to 1320.00')
    """
    digits = 2 if interval[1] - interval[0] >= 0.02 else 3 if interval[1] - interval[0] >= 0.002 else 4
    return " to ".join(f"{end:.{digits}f}" for end in interval)


def _notes(state: StudyState) -> Iterator[str]:
    found = replicated(state)
    if any(item.folds for item in found):
        own, *others = state.header.folds
        taken = [fold for fold in others if any(fold in item.folds for item in found)]
        which = f"fold{'s' * (len(taken) > 1)} {', '.join(map(str, taken))}"
        yield (
            f"means are over replicates on {which}, one each; the search validated on fold {own}, which counts in "
            "none; folds share training images, so 95 % is an approximation"
        )
    if found and len(state.header.goals) > 1:
        yield (
            f"replicates are of the front's first trials and compared by {state.header.metric} alone; the fronts "
            "themselves are of single trainings, with their luck"
        )
    tied = [item.trial for item in found if item.is_tied]
    if len(tied) > 1:
        yield f"{' and '.join(tied)} are tied: the 95 % intervals of the means over replicates do not tell them apart"
    for item in found:
        if item.leaving is not None:
            yield leaving_in_words(item.leaving, mode=state.header.mode)
        if item.num_failed:
            yield f"{item.num_failed} of {item.num_wanted} replicates of {item.trial} failed"
    if state.finished is not None and state.header.replicates and not standing_of(state).is_over:
        yield "replicates are missing, as a budget of the study was used up; resume with a larger one to train them"
