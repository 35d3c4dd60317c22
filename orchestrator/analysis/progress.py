"""The best value so far, against what the study had spent by then."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, index_of
from orchestrator.pareto.constraints import broken_by
from orchestrator.results.ranking import known_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """A report that was better than all before it, and what had been spent with it.

    Attributes:
        value: Of the objective.
        num_trials: The trials that had reported, this one among them; those that another run trained count, too.
        num_epochs: The epochs that this study had trained.
        seconds: How long drivers had been at work.
        core_seconds: The time in training steps times the CPUs of the trials, as `search.core_hours` counts it.
    """

    trial: str
    epoch: int
    value: float
    num_trials: int
    num_epochs: int
    seconds: float
    core_seconds: float


def best_so_far_steps(state: StudyState) -> list[Improvement]:
    """Returns each report that was better than all before it, in the order of the journal.

    Reports of trials that failed later, or that break a constraint, cost what they cost, and are no best.
    """
    state = search_alone(state)
    header, clock, conditions = state.header, _Clock(state), state.header.conditions
    sign = 1 if header.mode == "max" else -1
    steps: list[Improvement] = []
    seen: set[str] = set()
    num_epochs, core_seconds = 0, 0.0
    for name, epoch in list(state.report_order):
        trial = state.trials[name]
        place = index_of(trial, epoch)
        report, at = trial.reports[place], trial.reported_at[place]
        seen.add(name)
        if is_own(trial, at=at):
            num_epochs += 1
            core_seconds += report.train_seconds * cpus_of(trial)
        value = report.metrics.get(header.metric)
        if value is None or trial.failure is not None or broken_by(known_values(trial, report), conditions):
            continue
        if steps and sign * value <= sign * steps[-1].value:
            continue
        steps.append(
            Improvement(
                trial=name,
                epoch=epoch,
                value=value,
                num_trials=len(seen),
                num_epochs=num_epochs,
                seconds=clock.seconds(at if is_own(trial, at=at) else trial.proposed_at),
                core_seconds=core_seconds,
            )
        )
    return steps


def is_own(trial: Trial, *, at: float) -> bool:
    """Returns whether this study trained an epoch; a trial of another run may go on here where a study is extended.

    Args:
        at: When the epoch was reported.
    """
    return not trial.reused_from or at > trial.proposed_at


def cpus_of(trial: Trial) -> float:
    """Returns the CPUs of a trial; one where its worker said nothing."""
    return float(trial.worker.get("cpus") or 1)


class _Clock:
    """Says how long drivers had been at work at any moment."""

    def __init__(self, state: StudyState) -> None:
        self._begins = [session.began_at or session.at for session in list(state.sessions)]
        trials = list(state.trials.values())
        reported = [at for trial in trials for at in list(trial.reported_at) if is_own(trial, at=at)]
        moments = sorted([*state.closed_at, *reported])
        #: The seconds of all sessions before each.
        self._before = [0.0]
        for begin, following in pairwise(self._begins):
            # A driver that was killed leaves no end: its last report counts as such.
            place = bisect_left(moments, following)
            end = max(begin, moments[place - 1]) if place else begin
            self._before.append(self._before[-1] + end - begin)

    def seconds(self, at: float) -> float:
        """Returns the seconds of work up to a moment, seconds since 1970."""
        place = bisect_left(self._begins, at) - 1
        return self._before[place] + at - self._begins[place] if place >= 0 else 0.0
