"""The estimator draws, to the bit, what Optuna's own sampler draws from a study of the same trials."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from played_studies import MIXED, play, score, spec_of
from random_spaces import spaces

from orchestrator.journal.trial import Trial
from orchestrator.pareto.constraints import parse_constraint
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.bohb import Bohb
from orchestrator.search.algorithms.random_draws import RandomDraws
from orchestrator.search.algorithms.tpe import ARGUMENTS, Tpe
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.optuna_internals import Parzen, Seen, empty_study
from orchestrator.study.spec import StudySpec
from search_spaces import make_variant, space_from_mapping

NUM_TRIALS = 16
CONSTRAINTS = [parse_constraint("val_accuracy >= 0.3"), parse_constraint("val_loss <= 0.6")]


def suggested(asked: optuna.Trial) -> Callable[[str, BaseDistribution], Any]:
    """Returns what asks Optuna for one parameter after another."""

    def pick(name: str, distribution: BaseDistribution) -> Any:
        match distribution:
            case FloatDistribution(low=low, high=high, log=log):
                return asked.suggest_float(name, low, high, log=log)
            case IntDistribution(low=low, high=high, log=log):
                return asked.suggest_int(name, low, high, log=log)
            case CategoricalDistribution(choices=choices):
                return asked.suggest_categorical(name, choices)
        raise TypeError(distribution)

    return pick


def frozen(item: Seen, space: EncodedSpace) -> FrozenTrial:
    """Returns a trial as Optuna would have it in a study."""
    active = {name: item.numbers[at] for name, at in space.columns.items() if item.numbers[at] == item.numbers[at]}
    return optuna.trial.create_trial(
        state=item.state,
        params={name: space.distribution(name).to_external_repr(number) for name, number in active.items()},
        distributions={name: space.distribution(name) for name in active},
        values=list(item.values) or None,
        intermediate_values=dict(item.intermediate_values),
        constraints=dict(item.constraints),
    )


def optunas_study(seen: Sequence[Seen], spec: StudySpec) -> optuna.Study:
    study, space = empty_study(spec.objective.goals), EncodedSpace(spec.space)
    for item in seen:
        study.add_trial(frozen(item, space))
    return study


def optunas(estimator: Parzen, spec: StudySpec, *, seed: int, **changes: Any) -> dict[str, Any]:
    """Returns what Optuna's sampler draws from a study of an estimator's trials."""
    study = optunas_study(estimator._seen, spec)
    study.sampler = optuna.samplers.TPESampler(seed=seed, **{**ARGUMENTS, **changes})
    study.sampler._gamma = estimator._num_good
    return EncodedSpace(spec.space).suggest(suggested(study.ask()))


def history_of(spec: StudySpec, *, conditions: Sequence[Any] = (), count: int = NUM_TRIALS) -> History:
    """Returns what is known of trials that ended in every way, in another order than they began; some run on."""
    history = History(EncodedSpace(spec.space), objective=spec.objective, is_kept=True, conditions=conditions)
    draws, before = RandomDraws(spec), []
    for number in range(count):
        draw = Draw(study_seed=spec.seed, number=number, attempt=0)
        variant = make_variant(spec.space, history.accept(number, draws.ask(history, draw)), seed=0)
        before.append(play(number, variant, value=score, metric=spec.objective.metric))
        if number % 4 == 3:
            for trial in (before[number - 1], before[number - 3]):
                history.end(trial)
    history.observe(Trial(name=trial_name(n), number=n, variant=before[n].variant, proposed_at=0.0) for n in (1, 3))
    return history


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(
    space=spaces(),
    seed=st.integers(0, 1000),
    mode=st.sampled_from(["max", "min"]),
    conditions=st.sampled_from([[], CONSTRAINTS]),
)
def test_what_is_drawn_is_what_optuna_draws_from_a_study_of_the_same_trials(space, seed, mode, conditions) -> None:
    spec = spec_of(space, algorithm="tpe", seed=seed, mode=mode)
    history, tpe = history_of(spec, conditions=conditions), Tpe(spec)
    for attempt in range(2):
        draw = Draw(study_seed=seed, number=NUM_TRIALS, attempt=attempt)
        expected = optunas(tpe.estimator(history, seed=draw.seed), spec, seed=draw.seed)
        assert tpe.ask(history, draw) == expected


@pytest.mark.parametrize("seed", range(4))
def test_the_same_with_two_objectives(seed: int) -> None:
    objective = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    plain = spec_of(space_from_mapping(MIXED), algorithm="tpe", seed=seed)
    spec = StudySpec.model_validate({**plain.model_dump(), "space": plain.space, "objective": objective})
    history, tpe = History(EncodedSpace(spec.space), objective=spec.objective, is_kept=True), Tpe(spec)
    for number in range(NUM_TRIALS):
        draw = Draw(study_seed=seed, number=number, attempt=0)
        expected = optunas(tpe.estimator(history, seed=draw.seed), spec, seed=draw.seed)
        values = tpe.ask(history, draw)
        assert values == expected
        trial = play(number, make_variant(spec.space, history.accept(number, values), seed=0), value=score)
        for at, report in enumerate(trial.reports):
            trial.reports[at] = type(report).from_json({**report.to_json(), "cost": {"parameters": float(number % 5)}})
        history.end(trial)


def test_many_good_trials_of_two_objectives_weigh_alike() -> None:
    plain = spec_of(space_from_mapping(MIXED), algorithm="bohb")
    objective = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    spec = StudySpec.model_validate({**plain.model_dump(), "space": plain.space, "objective": objective})
    space, random = EncodedSpace(spec.space), np.random.default_rng(0)
    rows = [space.numbers(space.random(seed=number)) for number in range(90)]
    seen = [
        Seen(number=number, state=OptunaState.COMPLETE, numbers=row, values=list(random.random(2)))
        for number, row in enumerate(rows)
    ]
    for seed in range(3):
        estimator = Parzen(
            seen,
            columns=space.columns,
            study=empty_study(spec.objective.goals),
            num_good=lambda count: count // 2,
            seed=seed,
            arguments=ARGUMENTS,
        )
        common = IntersectionSearchSpace().calculate(optunas_study(seen, spec))
        assert space.suggest(estimator.picker(common)) == optunas(estimator, spec, seed=seed)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(space=spaces(), seed=st.integers(0, 1000))
def test_parameters_that_all_known_trials_had_are_those_that_optuna_finds(space, seed: int) -> None:
    spec = spec_of(space, algorithm="tpe", seed=seed)
    history = history_of(spec)
    study = optunas_study(history.seen(), spec)
    assert history.common() == IntersectionSearchSpace(include_pruned=True).calculate(study)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(space=spaces(), seed=st.integers(0, 1000))
def test_a_random_draw_is_what_optuna_draws_at_random(space, seed: int) -> None:
    encoded, study = EncodedSpace(space), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    assert encoded.random(seed=seed) == encoded.suggest(suggested(study.ask()))


def test_at_one_epoch_the_same_estimator_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, made = spec_of(space_from_mapping(MIXED), algorithm="bohb"), []

    class Kept(Parzen):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            made.append(self)

    monkeypatch.setattr("orchestrator.search.algorithms.bohb.Parzen", Kept)
    history, bohb, num_compared = history_of(spec, count=40), Bohb(spec), 0
    for attempt in range(9):
        draw = Draw(study_seed=spec.seed, number=NUM_TRIALS, attempt=attempt)
        values = bohb.ask(history, draw)
        if made:
            expected = optunas(made.pop(), spec, seed=draw.seed, n_startup_trials=0)
            assert values == expected
            num_compared += 1
    assert num_compared >= 4
