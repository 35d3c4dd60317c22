"""A run as a journal file of Optuna's, so that its dashboard and its analyses open it.

It follows from the run's own journal and is nobody's memory: each session writes it anew at its end.
"""

import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.constraints import excesses, in_words
from orchestrator.pareto.goals import Goal
from orchestrator.results.ranking import objective_values
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import budget_of
from search_spaces import Choice, Domain, Float, Int, SearchSpace, Value
from trainables.files.whole import write_whole

_STATES = {
    TrialState.STOPPED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


def write_optuna_journal(folder: RunFolder, *, state: StudyState, space: SearchSpace) -> None:
    """Writes all trials that have ended to `optuna.journal`, in place of an earlier file.

    Args:
        folder: The run folder.
        state: The study's.
        space: The study's.

    Raises:
        OSError: If the file cannot be written.
    """
    with TemporaryDirectory(prefix="convfleet-optuna-") as temporary:
        path = Path(temporary) / folder.optuna.name
        study = _empty_study(path, name=state.header.study, goals=state.header.goals)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([goal.metric for goal in state.header.goals])
        study.set_user_attr("metric", state.header.metric)
        if state.header.objectives:
            study.set_user_attr("objectives", [goal.metric for goal in state.header.goals])
        study.add_trials(list(_trials(state, space=space)))
        write_whole(folder.optuna, path.read_text(encoding="utf-8"))


def _empty_study(path: Path, *, name: str, goals: Sequence[Goal]) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        directions = ["maximize" if goal.mode == "max" else "minimize" for goal in goals]
        storage = JournalStorage(JournalFileBackend(str(path)))
        return optuna.create_study(study_name=name, storage=storage, directions=directions)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _trials(state: StudyState, *, space: SearchSpace) -> Iterator[FrozenTrial]:
    metric, mode, goals = state.header.metric, state.header.mode, state.header.goals
    distributions = {item.name: found for item in space.parameters if (found := optuna_distribution_of(item.domain))}
    for number, trial in enumerate(trial for trial in search_alone(state).trials.values() if trial.has_ended):
        best = trial.best_report(metric=metric, mode=mode)
        # What the study's budget ended was not weak: only early stopping prunes.
        is_cut = trial.stop is not None and budget_of(trial.stop.reason) != ""
        known = (
            [] if best is None else [value for value in objective_values(trial, best, goals=goals) if value is not None]
        )
        is_complete = len(known) == len(goals) and (is_cut or trial.state is TrialState.COMPLETED)
        values = {"family": trial.variant.family, **trial.variant.params}
        params = {name: optuna_value(values[name], found) for name, found in distributions.items() if name in values}
        ended_at = trial.ended_at or trial.proposed_at
        found = FrozenTrial(
            number=number,
            trial_id=number,
            state=OptunaState.COMPLETE if is_complete else _STATES.get(trial.state, OptunaState.FAIL),
            value=known[0] if is_complete and len(goals) == 1 else None,
            values=known if is_complete and len(goals) > 1 else None,
            params=params,
            distributions={name: distributions[name] for name in params},
            intermediate_values={
                report.epoch: report.metrics[metric] for report in trial.reports if metric in report.metrics
            },
            user_attrs=_notes(trial),
            system_attrs={},
            datetime_start=datetime.fromtimestamp(min([*trial.started_at[:1], ended_at])),
            datetime_complete=datetime.fromtimestamp(ended_at),
        )
        for name, excess in _excesses(trial, state=state).items():
            found.set_constraint(name, excess)
        yield found


def _excesses(trial: Trial, *, state: StudyState) -> dict[str, float]:
    """Returns how far a trial is beyond each constraint of the study, by its words; 1 where nobody knows.

    Each trial has all of them: Optuna takes one without a constraint for one that keeps to it.
    """
    header = state.header
    best = trial.best_report(metric=header.metric, mode=header.mode, ties=header.ties)
    known = {**trial.reports[0].cost, **best.metrics} if best is not None else {}
    beyond = excesses(known, header.conditions)
    return {in_words(condition): share for condition, share in zip(header.conditions, beyond, strict=True)}


def _notes(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.name,
        "variant": trial.variant.variant_id,
        "epochs": trial.num_epochs,
        "train_seconds": round(sum(report.train_seconds for report in trial.reports), 3),
        **({"reason": trial.reason} if trial.reason else {}),
    }


def optuna_distribution_of(domain: Domain) -> BaseDistribution | None:
    """Returns Optuna's name for a domain, with the values themselves; None for one that cannot vary.

    >>> optuna_distribution_of(Choice(["relu", "elu"])), optuna_distribution_of(Int(3, 3))
    (CategoricalDistribution(choices=('relu', 'elu')), None)
    """
    match domain:
        case Choice(options=options, size=size) if size > 1:
            return CategoricalDistribution(tuple(options) if _are_plain(options) else tuple(map(repr, options)))
        case Int(low=low, high=high, log=log, size=size) if size > 1:
            step = domain.step or 1
            return IntDistribution(low, high if log else low + (size - 1) * step, log=log, step=step)
        case Float(low=low, high=high, log=log, size=None):
            return FloatDistribution(low, high, log=log)
        case Float(low=low, size=int() as size) if size > 1:
            # Without the step: Optuna refuses values of a step that is small beside them.
            return FloatDistribution(low, domain.at(size - 1))
        case _:
            return None


def optuna_value(value: Any, distribution: BaseDistribution) -> Any:
    """Returns a value as its distribution has it: what Optuna's dashboard cannot show is a text."""
    if not isinstance(distribution, CategoricalDistribution):
        return value
    # Options are all themselves, or all texts.
    return repr(value) if repr(value) in distribution.choices else value


def _are_plain(options: Sequence[Value]) -> bool:
    """Returns whether options are scalars that Python tells apart: for it, 1 and True are equal."""
    return not any(isinstance(option, tuple) for option in options) and len(set(options)) == len(options)
