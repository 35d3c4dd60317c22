"""Contenders, their race and their results, as a study's state has them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.replicates.interval import student_interval
from orchestrator.replicates.race import Contender, Leaving, Replicate, Standing, standing
from orchestrator.results.chance import CONFIDENCE, do_overlap
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.ranking import BROKEN, winners


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """What training a variant again has shown.

    Attributes:
        trial: The trial of the search that has the variant.
        values: Best values of the objective, one a replicate that completed.
        mean: Their mean; None for fewer than two.
        interval: Student's interval of 95 % of the mean; None for values that do not show their spread.
        num_failed: How many replicates failed.
        num_open: How many have not ended.
        is_tied: Whether the interval overlaps with that of the best one.
        leaving: Why it is trained no more; None if it did not leave the race.
    """

    trial: str
    values: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None
    num_failed: int
    num_open: int
    is_tied: bool
    leaving: Leaving | None


def contenders_of(state: StudyState) -> list[Contender]:
    """Returns the variants that are trained again: the best of the search, and those that were trained again before.

    Args:
        state: The study.
    """
    header = state.header
    ranked = [trial.name for trial, _ in winners(search_alone(state).trials.values(), header=header)]
    earlier = [name for name in (*ranked[header.leaders :], *state.replicates) if name in state.replicates]
    names = dict.fromkeys([*ranked[: header.leaders], *earlier])
    return [Contender(trial=name, replicates=tuple(_replicates(state, name))) for name in names]


def standing_of(state: StudyState) -> Standing:
    """Returns how the race of a study stands; while trials of the search are open, nobody is trained again.

    Args:
        state: The study.
    """
    if any(not trial.replicate_of for trial in state.unfinished):
        return Standing(next="", is_over=False, left=())
    return standing(contenders_of(state), most=state.header.replicates, mode=state.header.mode)


def replicated(state: StudyState) -> list[Replicated]:
    """Returns what training variants again has shown, in the order of the leaderboard; empty if none was.

    Args:
        state: The study, also while it runs.
    """
    if not state.replicates:
        return []
    header, trials = state.header, list(state.trials.values())
    order = {trial.name: place for place, (trial, _) in enumerate(winners(trials, header=header))}
    contenders = [item for item in contenders_of(state) if item.trial in state.replicates]
    contenders.sort(key=lambda item: order.get(item.trial, len(order)))
    left = {item.trial: item for item in standing_of(state).left}
    first = student_interval(contenders[0].values(), confidence=CONFIDENCE) if contenders[0].mean is not None else None
    found = []
    for item in contenders:
        values = item.values()
        interval = student_interval(values, confidence=CONFIDENCE)
        # Values without a spread leave open how far the next one would be.
        is_tied = item.mean is not None and (first is None or interval is None or do_overlap(first, interval))
        found.append(
            Replicated(
                trial=item.trial,
                values=tuple(values),
                mean=item.mean,
                interval=interval,
                num_failed=sum(replicate.has_ended and replicate.value is None for replicate in item.replicates),
                num_open=sum(not replicate.has_ended for replicate in item.replicates),
                is_tied=is_tied,
                leaving=left.get(item.trial),
            )
        )
    return found


def board_labels(
    board: Mapping[str, float],
    *,
    again: Sequence[Replicated],
    metric: str,
    shares: ImageShares,
    broken: Collection[str] = (),
) -> list[str]:
    """Returns the ranks of a leaderboard as text: `1=` for trials that may be the best as well, `9!` for broken ones.

    Where trials were trained again, their means decide that; else the intervals of the shares of images do.

    Args:
        board: The best value of each trial, best trial first.
        again: What training some of them again has shown.
        metric: The objective's.
        shares: The metrics that are shares of images.
        broken: The trials that break a constraint, the last ones of the board.
    """
    if broken:
        kept = {name: value for name, value in board.items() if name not in broken}
        labels = board_labels(kept, again=again, metric=metric, shares=shares)
        return [*labels, *(f"{rank}{BROKEN}" for rank in range(len(kept) + 1, len(board) + 1))]
    if not any(item.mean is not None for item in again):
        return shares.rank_labels(metric, list(board.values()))
    tied = {item.trial for item in again if item.is_tied}
    return ["1=" if len(tied) > 1 and name in tied else str(rank) for rank, name in enumerate(board, start=1)]


def _replicates(state: StudyState, name: str) -> list[Replicate]:
    found = []
    for trial in (state.trials[other] for other in list(state.replicates.get(name, ()))):
        # What a budget cut short says nothing of a whole training; a larger budget has another one.
        if trial.state is TrialState.STOPPED:
            continue
        best = trial.best_report(**state.header.ranking)
        is_whole = trial.state is TrialState.COMPLETED and best is not None
        value = best.metrics[state.header.metric] if is_whole and best is not None else None
        found.append(Replicate(value=value, has_ended=trial.has_ended))
    return found
