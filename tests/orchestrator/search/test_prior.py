"""A guess draws the first trials near it, ever fewer later ones, and leaves all else of a search as it is."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from played_studies import COUNTABLE, MIXED, play, score, spec_of
from random_spaces import spaces

from orchestrator.journal.trial import Trial
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.search.prior import share_near
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.spec import StudySpec
from search_spaces import SearchSpace, Variant, space_from_mapping

GUESS = {"learning_rate": 0.003, "filters": 32, "optimizer": "sgd", "momentum": 0.9}


def guessing(spec: StudySpec, prior: Mapping[str, Any]) -> StudySpec:
    return spec.model_copy(update={"search": spec.search.model_copy(update={"prior": dict(prior)})})


def run(spec: StudySpec, num_trials: int) -> list[Trial]:
    """Returns the trials of a study run with two trials at a time."""
    proposer, trials = Proposer(spec), []
    for number in range(num_trials):
        variant = proposer.propose(number)
        if variant is None:
            break
        trials.append(play(number, variant, value=score))
        if number:
            proposer.end_trial(trials[number - 1])
    return trials


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(space=spaces(), algorithm=st.sampled_from(sorted(SEARCHERS)), data=st.data())
def test_proposals_near_a_guess_lie_in_the_space_come_once_and_again_after_a_resume(
    space: SearchSpace, algorithm: str, data: st.DataObject
) -> None:
    assume(algorithm != "grid" or space.size is not None)
    places = data.draw(st.lists(st.floats(0, 1), min_size=30, max_size=30))
    cube = UnitCube(space)
    assume(len(cube.names) <= len(places))
    prior = {name: value for name, value in cube.values_at(places[: len(cube.names)]).items() if name in cube.names}
    spec = guessing(spec_of(space, algorithm=algorithm, seed=data.draw(st.integers(0, 2**31 - 1))), prior)
    trials = run(spec, 10)
    assert len(trials) == min(10, space.size or 10)
    assert len({trial.variant.variant_id for trial in trials}) == len(trials)
    for trial in trials:
        assert space.validate({"family": trial.variant.family, **trial.variant.params}) == []
    for count in range(1, len(trials), 4):
        resumed = Proposer(spec)
        resumed.remember([*trials[: count - 1], unfinished(trials[count - 1])])
        assert resumed.propose(count) == trials[count].variant, f"after {count} trials"


def unfinished(trial: Trial) -> Trial:
    return Trial(name=trial.name, number=trial.number, variant=trial.variant, proposed_at=0.0)


def draws(number: int, *, algorithm: str = "random", prior: Mapping[str, Any] = GUESS) -> list[Variant]:
    """Returns what studies of many seeds propose as their trial of a number, knowing nothing."""
    space = space_from_mapping(MIXED)
    found = []
    for seed in range(200):
        variant = Proposer(guessing(spec_of(space, algorithm=algorithm, seed=seed), prior)).propose(number)
        assert variant is not None
        found.append(variant)
    return found


def away(variants: list[Variant]) -> float:
    """Returns how far learning rates lie from the guess, in the mean, as a share of the whole axis."""
    return statistics.mean(abs(math.log10(float(item.params["learning_rate"]) / 0.003)) / 3 for item in variants)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["random", "sobol", "tpe", "gp"])
def test_the_first_trials_lie_nearer_to_the_guess_and_late_ones_as_far_as_ever(algorithm: str) -> None:
    plain = [away(draws(number, algorithm=algorithm, prior={})) for number in (3, 400)]
    near, late = (away(draws(number, algorithm=algorithm)) for number in (3, 400))
    # Draws near a guess in the middle lie 0.16 of the axis away from it, others 0.25; half of them are near it.
    assert near < plain[0] - 0.02
    assert late == pytest.approx(plain[1], abs=0.01)


def test_half_of_the_first_trials_take_the_guess_and_then_ever_fewer() -> None:
    found = {number: draws(number) for number in (0, 7, 40)}
    moved = {
        number: sum(one.params != other.params for one, other in zip(variants, draws(number, prior={}), strict=True))
        for number, variants in found.items()
    }
    assert [round(count / 200, 1) for count in moved.values()] == [0.5, 0.5, 0.1]
    shares = [share_near(number) for number in range(200)]
    assert shares == sorted(shares, reverse=True)


def test_of_named_options_the_guessed_one_comes_more_often() -> None:
    guessed = sum(item.params["optimizer"] == "sgd" for item in draws(0)) / 200
    # Two in three of those near the guess take it, and half of all others: 1/2 (2/3 + 1/3 * 1/2) + 1/2 * 1/2.
    assert guessed == pytest.approx(2 / 3, abs=0.07)


@pytest.mark.parametrize("algorithm", ["random", "sobol"])
def test_what_it_does_not_name_stays_as_the_searcher_has_it(algorithm: str) -> None:
    pairs = zip(
        draws(0, algorithm=algorithm, prior={"dropout": 0.1}), draws(0, algorithm=algorithm, prior={}), strict=True
    )
    for one, other in pairs:
        assert one.family == other.family
        for name, value in other.params.items():
            # Through the cube and back, a number may change in its last digit.
            same = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
            assert name == "dropout" or one.params[name] == same


def test_a_grid_keeps_its_order() -> None:
    spec = spec_of(space_from_mapping(COUNTABLE), algorithm="grid")
    assert [trial.variant for trial in run(guessing(spec, {"filters": 16}), 9)] == [
        trial.variant for trial in run(spec, 9)
    ]


@pytest.mark.parametrize("algorithm", ["random", "sobol", "tpe", "gp"])
def test_a_countable_space_is_spent_to_its_last_variant_far_from_the_guess(algorithm: str) -> None:
    prior = {"family": "residual", "dropout": 0.0, "filters": 8}
    spec = guessing(spec_of(space_from_mapping(COUNTABLE), algorithm=algorithm), prior)
    assert len(run(spec, 100)) == spec.space.size


RATES = {
    "family": "sequential",
    "params": {"learning_rate": {"float": [1e-6, 1.0], "log": True}, "dropout": {"float": [0, 1]}},
}


def best_of(prior: Mapping[str, Any], *, seed: int, num_trials: int) -> float:
    def height(variant: Variant) -> float:
        rate, dropout = variant.params["learning_rate"], variant.params["dropout"]
        return 2.0 - (math.log10(rate) + 2) ** 2 / 4 - (dropout - 0.7) ** 2  # type: ignore[arg-type, operator]

    spec = guessing(spec_of(space_from_mapping(RATES), algorithm="tpe", seed=seed), prior)
    proposer, heights = Proposer(spec), []
    for number in range(num_trials):
        variant = proposer.propose(number)
        assert variant is not None
        heights.append(height(variant))
        trial = play(0, variant, value=height)
        trial.number = number
        proposer.end_trial(trial)
    return max(heights)


def test_a_good_guess_helps_early_and_a_wrong_one_costs_little_later() -> None:
    seeds = range(15)
    early = {
        guess: statistics.mean(best_of(prior, seed=seed, num_trials=6) for seed in seeds)
        for guess, prior in {"good": {"learning_rate": 0.02, "dropout": 0.6}, "none": {}}.items()
    }
    assert early["good"] > early["none"] + 0.02
    late = {
        guess: statistics.mean(best_of(prior, seed=seed, num_trials=40) for seed in seeds)
        for guess, prior in {"wrong": {"learning_rate": 1e-6, "dropout": 0.0}, "none": {}}.items()
    }
    assert late["wrong"] > late["none"] - 0.05
