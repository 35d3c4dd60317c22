"""Answers from a study's state: counts, best trial, time spent and time left.

Another thread may add to the state meanwhile: each function copies lists before it walks them, and its answer is right
for some moment during the call.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.journal.records import EnsembleExported, ModelExported
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.constraints import broken_by, excesses, in_words, shortest
from orchestrator.pareto.hypervolume import reference_point, volumes_so_far
from orchestrator.results.ranking import (
    BROKEN,
    Placed,
    are_on_folds,
    board_key,
    known_values,
    placed_trials,
    rank_key,
    replicate_values,
    whole_losses,
    winners,
)
from orchestrator.runs.paths import RunFolder
from trainables.patience import tie_value
from trainables.reports import EpochReport

_UNUSABLE = {TrialState.INFEASIBLE, TrialState.FAILED}


def study_status(state: StudyState, *, is_alive: bool | None = None) -> str:
    """Returns the state of the study as a whole, as a word or two for people.

    Args:
        is_alive: Whether its driver is at work; None if the caller does not know.
    """
    if state.finished is not None:
        return "finished"
    if state.paused is not None:
        return "paused"
    if not state.sessions:
        return "not started"
    return {True: "running", False: "interrupted", None: "not finished"}[is_alive]


def count_states(trials: Iterable[Trial], *, is_alive: bool = True) -> dict[TrialState, int]:
    """Returns how many trials are in each state, every state included.

    Args:
        is_alive: Whether the driver is at work; without one, a running trial counts as paused.
    """
    counts = dict.fromkeys(TrialState, 0)
    for trial in trials:
        counts[state_of(trial, is_alive=is_alive)] += 1
    return counts


def state_of(trial: Trial, *, is_alive: bool) -> TrialState:
    """Returns the state of a trial, given whether a driver is at work."""
    state = trial.state
    return TrialState.PAUSED if state is TrialState.RUNNING and not is_alive else state


def best_so_far(state: StudyState) -> tuple[Trial, EpochReport] | None:
    """Returns the usable trial with the best report of the objective, and that report; None before the first.

    It keeps to all constraints with that report.

    Where trials were trained again, it is the best of them by the mean over replicates.
    """
    header, best, best_key = state.header, None, None
    trials, conditions = list(state.trials.values()), header.conditions
    again, on_folds = replicate_values(trials, metric=header.metric, mode=header.mode), are_on_folds(trials)
    for trial in trials:
        report = trial.best_report(**header.ranking)
        if report is None or trial.state in _UNUSABLE or trial.replicate_of:
            continue
        if broken_by(known_values(trial, report), conditions):
            continue
        tie = tie_value(report, ties=header.ties)
        alone = rank_key(report.metrics[header.metric], epochs=trial.epoch, name=trial.name, mode=header.mode, tie=tie)
        key = board_key(alone, again.get(trial.name, ()), mode=header.mode, on_folds=on_folds)
        if best_key is None or key < best_key:
            best, best_key = (trial, report), key
    return best


def leaders(state: StudyState, *, k: int) -> list[tuple[Trial, EpochReport]]:
    """Returns the k best trials by the main objective that completed or were stopped, each with its best report.

    Trials that break a constraint are none. With one objective these are the first trials of
    `from_tables.leaderboard`, without Arrow, whose import takes longer than
    all else that `status` does.
    """
    return winners(list(state.trials.values()), header=state.header, k=k)


def placed(state: StudyState, *, k: int | None = None) -> list[Placed]:
    """Returns the k first trials of the leaderboard, best first: with one objective those of `leaders` come first."""
    return placed_trials(list(state.trials.values()), header=state.header, k=k)


def front_of(state: StudyState) -> list[Placed]:
    """Returns the trials of the first front, best first by the main objective; none with one objective."""
    return [] if len(state.header.goals) == 1 else [item for item in placed(state) if item.front == 1]


def constraints_in_words(state: StudyState) -> str:
    """Returns how many trials keep to the constraints; where none does, which one comes nearest. Empty without any."""
    conditions, board = state.header.conditions, placed(state)
    if not conditions or not board:
        return ""
    limits, num_kept = " and ".join(map(in_words, conditions)), sum(not item.broken for item in board)
    if num_kept:
        marked = "" if num_kept == len(board) else f"; the others, marked {BROKEN}, cannot win"
        return f"{num_kept} of {len(board)} trials with a result keep to {limits}{marked}"
    known = [(item, known_values(item.trial, item.report)) for item in board]
    item, values = min(known, key=lambda entry: sum(max(0.0, share) for share in excesses(entry[1], conditions)))
    has = " and ".join(_value_in_words(condition.metric, values) for condition in item.broken)
    return (
        f"none of {len(board)} trials with a result keeps to {limits}, so none is the best; {item.trial.name} "
        f"comes nearest, with {has}; loosen the constraints, or let the space have variants that keep to them"
    )


def _value_in_words(metric: str, values: Mapping[str, float]) -> str:
    return f"{metric} {shortest(values[metric])}" if metric in values else f"no {metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """How much of the objectives' room was dominated, as trials ended.

    Attributes:
        trials: Those with a value of every objective, in the order in which they ended.
        volumes: The hypervolume after each of them; the last one is that of the study.
        reference: The value of each objective from which it is measured.
    """

    trials: list[str]
    volumes: list[float]
    reference: tuple[float, ...]


def hypervolumes(state: StudyState) -> Volumes | None:
    """Returns the hypervolume over the trials; None with one objective, and before the first result."""
    goals = state.header.goals
    if len(goals) == 1:
        return None
    found = [
        (item.trial.ended_at or 0.0, item.trial.name, losses)
        for item in placed(state)
        if not item.broken and (losses := whole_losses(item.values, goals=goals)) is not None
    ]
    if not found:
        return None
    points = [losses for _, _, losses in sorted(found)]
    corner = reference_point(points, goals)
    return Volumes(
        trials=[name for _, name, _ in sorted(found)],
        volumes=list(volumes_so_far(points, reference=corner)),
        reference=tuple(goal.sign * loss for goal, loss in zip(goals, corner, strict=True)),
    )


def spent(state: StudyState) -> tuple[float, int, int]:
    """Returns seconds in training steps, epochs trained, and epochs saved by stopping early, as `from_tables.cost`."""
    seconds, num_epochs, num_saved = 0.0, 0, 0
    for trial in list(state.trials.values()):
        # Epochs that another run trained cost this study nothing.
        if not trial.reused_from:
            seconds += sum(report.train_seconds for report in trial.reports)
            num_epochs += trial.num_epochs
            # What another trial took the place of saved nothing.
            if trial.has_ended and trial.failure is None and not trial.replaced_by:
                num_saved += max(0, state.header.max_epochs - trial.epoch)
    return seconds, num_epochs, num_saved


def varying_parameters(trials: Sequence[Trial]) -> list[str]:
    """Returns the parameters whose values differ among these trials, in order; all of them for a single trial."""
    varying = VaryingParameters()
    varying.add(trials)
    return varying.names


class VaryingParameters:
    """The parameters whose values differ among the trials of a study, updated as the search proposes trials."""

    def __init__(self) -> None:
        self._num_trials = 0
        #: The first value of each parameter, in the order in which parameters first appeared.
        self._first: dict[str, object] = {}
        self._num_with: Counter[str] = Counter()
        self._differing: set[str] = set()

    @property
    def names(self) -> list[str]:
        """The parameters whose values differ among the trials so far, in order; all of them for a single trial."""
        return [
            name
            for name in self._first
            if self._num_trials < 2 or name in self._differing or self._num_with[name] < self._num_trials
        ]

    def of(self, state: StudyState) -> list[str]:
        """Returns the names, after adding the trials that are new.

        Args:
            state: Always of the same study.
        """
        self.add(list(state.trials.values())[self._num_trials :])
        return self.names

    def add(self, trials: Iterable[Trial]) -> None:
        """Adds trials."""
        for trial in trials:
            params = trial.variant.params
            self._num_trials += 1
            self._num_with.update(params.keys())
            self._differing.update(
                name for name, value in params.items() if self._first.setdefault(name, value) != value
            )


def session_start(state: StudyState) -> float:
    """Returns when the latest session began, seconds since 1970; 0 before the first."""
    return state.sessions[-1].at if state.sessions else 0.0


def elapsed_seconds(state: StudyState) -> float:
    """Returns how long drivers were at work, summed over the sessions; the time between sessions does not count."""
    starts = [session.at for session in list(state.sessions)]
    moments = [at for trial in list(state.trials.values()) for at in _moments(trial)]
    # Exports count, also of sessions before the study was extended.
    moments += list(state.closed_at)
    total = 0.0
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else float("inf")
        total += max((at for at in moments if start <= at < end), default=start) - start
    return total


def seconds_left(state: StudyState, *, elapsed: float) -> float | None:
    """Returns an estimate of the time until every trial has ended; None until one has, in this session.

    The busy time of all slots divided by the work so far (trials that ended, and the trained share of those under way)
    is the time that a trial takes. The remaining work takes as long as all slots together need for it, and at least as
    long as its longest trial. What passed before a worker began a trial does not count: a study may have waited for a
    cluster.

    Args:
        elapsed: Seconds since this session began.
    """
    header, since = state.header, session_start(state)
    slots = max(1, state.sessions[-1].slots) if state.sessions else 1
    # One that waits at a rung probably ends there.
    held = [trial.held for trial in state.unfinished if trial.is_held and trial.held is not None]
    num_ended = state.num_ended + len(held)
    num_ended_now = state.num_ended - state.num_ended_before + sum(item.at >= since for item in held)
    open_share = share_now = 0.0
    running: list[float] = []
    for trial in state.unfinished:
        if trial.is_held:
            continue
        share = min(1.0, trial.epoch / header.max_epochs)
        open_share += share
        if trial.state is TrialState.RUNNING:
            running.append(share)
            share_now += sum(at >= since for at in list(trial.reported_at)) / header.max_epochs
    if not num_ended_now or elapsed <= 0:
        return None
    num_open = max(0, header.num_trials - num_ended)
    num_busy = min(slots, num_ended_now + len(running))
    starts = [at for trial in list(state.trials.values()) for at in list(trial.started_at) if at >= since]
    worked = max(0.0, elapsed - (min(starts, default=since) - since))
    seconds_per_trial = worked * num_busy / (num_ended_now + share_now)
    furthest_back = 1.0 if num_open > len(running) else 1.0 - min(running, default=1.0)
    left = seconds_per_trial * max((num_open - open_share) / slots, furthest_back)
    return left if (limit := limit_seconds(state)) is None else min(left, max(0.0, limit - elapsed))


def limit_seconds(state: StudyState) -> float | None:
    """Returns the seconds that the latest session may search at most; None without a limit."""
    minutes = state.sessions[-1].minutes if state.sessions else 0.0
    return max(0.0, 60 * minutes - state.clock.earlier_seconds) if minutes else None


def export_path(item: ModelExported | EnsembleExported, *, folder: RunFolder) -> Path:
    """Returns the folder of an exported model, also after the user moved the run folder."""
    return folder.root / item.folder


def is_on_this_machine(item: ModelExported | EnsembleExported, *, folder: RunFolder) -> bool:
    """Returns whether the folder of an exported model is there: it may have been removed, or not been fetched."""
    return export_path(item, folder=folder).is_dir()


def _moments(trial: Trial) -> list[float]:
    events = (trial.stop, trial.held, trial.promoted, trial.failure, *list(trial.losses))
    ends = [event.at for event in events if event is not None]
    return [trial.proposed_at, *list(trial.started_at), *list(trial.reported_at), *ends]
