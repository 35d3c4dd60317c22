"""Contenders, their race and their results, as a study's state has them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.replicates.bounds import bounds_of
from orchestrator.replicates.race import Contender, Leaving, RaceMeasure, Replicate, Standing, standing
from orchestrator.results.chance import do_overlap
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.ranking import BROKEN, placed_trials, winners
from trainables.scores.interval import CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """What training a variant again has shown.

    Attributes:
        trial: The trial of the search that has the variant.
        values: Best values of the objective, one a replicate that completed.
        folds: The folds that they are of; empty: they have the validation split of the search.
        mean: Their mean; None for fewer than two.
        interval: Student's interval of 95 % of the mean; None for values that do not show their spread.
        num_failed: How many replicates failed.
        num_wanted: How many there will be at most.
        is_tied: Whether the interval overlaps with that of the best one.
        leaving: Why it is trained no more; None if it did not leave the race.
    """

    trial: str
    values: tuple[float, ...]
    folds: tuple[int, ...]
    mean: float | None
    interval: tuple[float, float] | None
    num_failed: int
    num_wanted: int
    is_tied: bool
    leaving: Leaving | None


def contenders_of(state: StudyState) -> list[Contender]:
    """Returns the variants that are trained again: the best of the search, and those that were trained again before.

    With several objectives the best are those on the front alone, best first by the main objective.

    Args:
        state: The study.
    """
    header = state.header
    searched = search_alone(state).trials.values()
    ranked = [trial.name for trial, _ in winners(searched, header=header)]
    if len(header.goals) > 1:
        ranked = [item.trial.name for item in placed_trials(searched, header=header) if item.front == 1]
    earlier = [name for name in (*ranked[header.leaders :], *list(state.replicates)) if name in state.replicates]
    names = dict.fromkeys([*ranked[: header.leaders], *earlier])
    return [Contender(trial=name, replicates=tuple(_replicates(state, name))) for name in names]


def standing_of(state: StudyState) -> Standing:
    """Returns how the race of a study stands; while trials of the search are open, nobody is trained again.

    Args:
        state: The study.
    """
    if any(not trial.replicate_of for trial in state.unfinished):
        return Standing(next="", is_over=False, left=())
    return standing(contenders_of(state), most=state.header.replicates, measure=measure_of(state.header))


def measure_of(header: StudyOpened) -> RaceMeasure:
    """Returns what the values of a study's replicates are.

    Args:
        header: The study's. Each of k folds has one validation image for k - 1 training images.
    """
    overlap = 1 / (len(header.folds) - 1) if header.folds else 0.0
    return RaceMeasure(mode=header.mode, overlap=overlap, bounds=bounds_of(header.metric))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateCount:
    """How many replicates a study has, without those that a budget cut short.

    Attributes:
        ended: Those that have ended.
        wanted: How many there will be at most; as many as there are once the race is over.
    """

    ended: int
    wanted: int


def count_of(state: StudyState) -> ReplicateCount:
    """Returns how many replicates a study has, and how many there will be at most.

    Args:
        state: The study, also while it runs.
    """
    found, race = contenders_of(state), standing_of(state)
    return ReplicateCount(
        ended=sum(replicate.has_ended for item in found for replicate in item.replicates),
        wanted=sum(_num_wanted(item, race, most=state.header.replicates) for item in found),
    )


def next_fold(state: StudyState, original: str) -> int:
    """Returns the fold that the next replicate of a trial validates on; 0: the validation split of the search.

    All leaders take the folds in one order, so that means over equally many replicates are over the same images. What a
    budget cut short is trained again on its fold.

    Args:
        state: The study.
        original: The trial of the search.
    """
    trials = [state.trials[name] for name in list(state.replicates.get(original, ()))]
    taken = {trial.fold for trial in trials if trial.state is not TrialState.STOPPED}
    return next((fold for fold in state.header.folds[1:] if fold not in taken), 0)


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
    race, measure = standing_of(state), measure_of(header)
    left = {item.trial: item for item in race.left}
    first = measure.interval(contenders[0].values(), confidence=CONFIDENCE) if contenders[0].mean is not None else None
    found = []
    for item in contenders:
        values = item.values()
        interval = measure.interval(values, confidence=CONFIDENCE)
        # Values without a spread leave open how far the next one would be.
        is_tied = item.mean is not None and (first is None or interval is None or do_overlap(first, interval))
        found.append(
            Replicated(
                trial=item.trial,
                values=tuple(values),
                folds=tuple(entry.fold for entry in item.replicates if entry.value is not None and entry.fold),
                mean=item.mean,
                interval=interval,
                num_failed=sum(replicate.has_ended and replicate.value is None for replicate in item.replicates),
                num_wanted=_num_wanted(item, race, most=header.replicates),
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


def _num_wanted(contender: Contender, race: Standing, *, most: int) -> int:
    has_left = race.is_over or any(item.trial == contender.trial for item in race.left)
    return len(contender.replicates) if has_left else max(most, len(contender.replicates))


def _replicates(state: StudyState, name: str) -> list[Replicate]:
    found = []
    for trial in (state.trials[other] for other in list(state.replicates.get(name, ()))):
        # What a budget cut short says nothing of a whole training; a larger budget has another one.
        if trial.state is TrialState.STOPPED:
            continue
        best = trial.best_report(**state.header.ranking)
        is_whole = trial.state is TrialState.COMPLETED and best is not None
        value = best.metrics[state.header.metric] if is_whole and best is not None else None
        found.append(Replicate(value=value, has_ended=trial.has_ended, fold=trial.fold))
    return found
