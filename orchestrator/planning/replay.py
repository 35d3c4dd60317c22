"""What other early stopping, budgets or fewer trials would have made of a run, from its own journal.

Where trials would have gone on beyond what the run knows of them, nothing is guessed. The study is simulated twice:
once as if they ended there and were better than all others, which costs least, and once as if they trained to their
ends and were worse than all others, which costs most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.early_stopping.decider import Rules, rule_name
from orchestrator.early_stopping.deciders import POPULATIONS
from orchestrator.errors import InputError
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState, is_stopped_by_hand
from orchestrator.planning.courses import Beyond, Course, core_seconds, courses_of
from orchestrator.planning.simulation import NOT_KNOWN, Setup, Simulation
from orchestrator.results.ranking import RANKED_STATES
from orchestrator.study.checks import promotion_fault
from orchestrator.study.spec import Policy
from orchestrator.tuning.budgets import is_stopped_by_budget

#: Trials that a message names at most.
_MOST_NAMED = 4
#: What an override may change; the rest would have led to other trials or other numbers.
REPLAYABLE = (
    "schedule.algorithm",
    "schedule.max_epochs",
    "schedule.grace_epochs",
    "schedule.reduction_factor",
    "schedule.promotion",
    "schedule.min_rivals",
    "schedule.brackets",
    "search.trials",
    "search.target",
    "search.minutes",
    "search.core_hours",
    "search.money",
    "search.price_per_hour",
    "search.epochs",
    "search.patience",
    "search.min_gain",
    "resources.max_concurrent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number that lies between two others, or is one where they are equal.

    Attributes:
        low: The lower one.
        high: The higher one.
    """

    low: float
    high: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> "Range":
        """Returns the range of some numbers."""
        known = list(numbers)
        return cls(low=min(known), high=max(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of a study under some rules.

    Attributes:
        schedule: The name of its rule of early stopping.
        num_trials: How many trials began.
        num_stopped: How many of them the rule of early stopping ended.
        epochs: How many epochs were trained.
        core_seconds: How long trials held cores.
        wall_seconds: How long the trials took, from the first one's start to the last one's end.
        best_value: The best known value of the objective among the trained epochs; None without any.
        best_trials: The trials that have it, one for each way in which the study may have gone.
        survivors: The trials that trained to their ends, whatever the open ones did.
        open: The trials that would have gone on after their last known epoch.
    """

    schedule: str
    num_trials: Range
    num_stopped: Range
    epochs: Range
    core_seconds: Range
    wall_seconds: Range
    best_value: Range | None
    best_trials: tuple[str, ...]
    survivors: tuple[str, ...]
    open: tuple[str, ...]


def replay_run(state: StudyState, policy: Policy, *, slots: int, seed: int) -> Replayed:
    """Returns what a policy would have made of a run's trials.

    Args:
        state: The run's.
        policy: The rules, with a number for each auto.
        slots: How many trials run at the same time.
        seed: The study's.

    Raises:
        InputError: If the policy needs trials or epochs that the run cannot tell of.
    """
    state = search_alone(state)
    courses = courses_of(state.trials.values())
    _check(state, policy)
    header = state.header
    setup = Setup(
        header=header,
        rules=Rules(
            schedule=policy.schedule,
            metric=header.metric,
            mode=header.mode,
            seed=seed,
            objectives=tuple(goal.metric for goal in header.goals) if header.objectives else (),
            is_constrained=bool(header.constraints),
        ),
        search=policy.search,
        num_trials=policy.search.trials or len(courses),
        slots=slots,
    )
    simulations = [_simulated(setup, courses, beyond=beyond) for beyond in Beyond]
    if policy.schedule.promotion:
        _demand_known(simulations)
    if not any(simulation.open for simulation in simulations):
        simulations = simulations[:1]
    return _summary(rule_name(policy.schedule), [(item.state, frozenset(item.open)) for item in simulations], run=state)


def as_it_was(state: StudyState, *, schedule: str) -> Replayed:
    """Returns the run itself in the form of a replay."""
    searched = search_alone(state)
    return _summary(schedule, [(searched, frozenset())], run=searched)


def _simulated(setup: Setup, courses: Sequence[Course], *, beyond: Beyond) -> Simulation:
    simulation = Simulation(setup, courses, beyond=beyond)
    simulation.run()
    return simulation


def _demand_known(simulations: Sequence[Simulation]) -> None:
    """Raises InputError where trials would go on beyond what the run knows."""
    names = sorted(set().union(*(simulation.open for simulation in simulations)))
    if names:
        raise InputError(
            f"schedule.promotion: the run lacks later epochs of {', '.join(names[:_MOST_NAMED])}"
            f"{' and others' if len(names) > _MOST_NAMED else ''}, which would have gone on, and who waits for whom "
            "follows from their values; replay promotion from a run without early stopping, or set it to false"
        )


def _check(state: StudyState, policy: Policy) -> None:
    if state.num_replaced or policy.schedule.has_population:
        raise InputError(
            f"schedule.algorithm: trials of {' and '.join(POPULATIONS)} go on from each other's checkpoints, so a run "
            "tells nothing of how they would have gone under other rules, nor how others would have gone under these; "
            "name another algorithm, or replay a run of one"
        )
    header, wanted = state.header, policy.schedule.epochs
    if promotion_problem := promotion_fault(policy.schedule):
        raise InputError(f"schedule.{promotion_problem}")
    if (trials := policy.search.trials) is not None and trials > len(state.trials):
        raise InputError(
            f"search.trials: must be at most {len(state.trials)}, the trials that the run has, got {trials}; nobody "
            "knows what others would have reached"
        )
    if wanted == header.max_epochs:
        return
    kinds = {trial.variant.params.get("schedule", "constant") for trial in state.trials.values()} - {"constant"}
    if kinds:
        raise InputError(
            f"schedule.max_epochs: must be {header.max_epochs} as in the run, got {wanted}: learning rates that follow "
            f"{' or '.join(sorted(map(str, kinds)))} depend on it, so that the run's epochs would have been other ones"
        )


def _summary(schedule: str, ways: Sequence[tuple[StudyState, frozenset[str]]], *, run: StudyState) -> Replayed:
    bests = [_best(state, run=run) for state, _ in ways]
    known = [best for best in bests if best is not None]
    ended = [_trained_to_their_ends(state) for state, _ in ways]
    return Replayed(
        schedule=schedule,
        num_trials=Range.of(len(state.trials) for state, _ in ways),
        num_stopped=Range.of(
            number for state, open_trials in ways for number in _num_stopped(state, num_open=len(open_trials))
        ),
        epochs=Range.of(len(state.report_order) for state, _ in ways),
        core_seconds=Range.of(core_seconds(state) for state, _ in ways),
        wall_seconds=Range.of(state.clock.seconds(state.last_at) for state, _ in ways),
        best_value=Range.of(value for value, _ in known) if known else None,
        best_trials=tuple(dict.fromkeys(name for _, name in known)),
        survivors=tuple(name for name in ended[0] if all(name in names for names in ended)),
        open=tuple(sorted(set().union(*(names for _, names in ways)))),
    )


def _best(state: StudyState, *, run: StudyState) -> tuple[float, str] | None:
    """Returns the best value of the run's own reports that a simulated study trained as well, and its trial."""
    header = run.header
    sign = 1 if header.mode == "max" else -1
    found = [
        (sign * report.metrics[header.metric], -trial.number, trial.name)
        for trial in state.trials.values()
        if trial.state in RANKED_STATES or trial.state is TrialState.RUNNING
        for report in run.trials[trial.name].reports[: trial.epoch]
        if header.metric in report.metrics
    ]
    if not found:
        return None
    value, _, name = max(found)
    return sign * value, name


def _trained_to_their_ends(state: StudyState) -> list[str]:
    return [trial.name for trial in state.trials.values() if trial.state is TrialState.COMPLETED]


def _num_stopped(state: StudyState, *, num_open: int) -> tuple[int, int]:
    """Returns how many trials the rule of early stopping ended, without and with all open ones."""
    number = sum(map(_is_stopped_early, state.trials.values()))
    return number, number + num_open


def _is_stopped_early(trial: Trial) -> bool:
    is_stopped = trial.stop is not None and trial.state is TrialState.STOPPED
    is_others = is_stopped_by_budget(trial) or is_stopped_by_hand(trial) or trial.reason == NOT_KNOWN
    return is_stopped and not is_others
