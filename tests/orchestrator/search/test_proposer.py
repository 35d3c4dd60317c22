"""Every proposal lies in its space, none comes twice, and a resumed proposer goes on as if it never stopped."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from played_studies import COUNTABLE, MIXED, play, score, spec_of
from random_spaces import spaces

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.tpe import Tpe
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.history import History
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces import (
    SearchSpace,
    Variant,
    make_variant,
    space_from_mapping,
)
from trainables.reports import EpochReport

ALGORITHMS = ("random", "sobol", "tpe", "grid")


def values_of(variant: Variant) -> dict[str, Any]:
    return {"family": variant.family, **variant.params}


def run(spec: StudySpec, num_trials: int) -> list[Trial]:
    """Returns the trials of a study run without a break, one after another."""
    proposer, trials = Proposer(spec), []
    for number in range(num_trials):
        variant = proposer.propose(number)
        if variant is None:
            break
        trials.append(play(number, variant, value=score))
        proposer.end_trial(trials[-1])
    return trials


@settings(max_examples=60, deadline=None)
@given(space=spaces(), algorithm=st.sampled_from(ALGORITHMS), seed=st.integers(0, 2**31 - 1))
def test_every_proposal_lies_in_its_space_and_comes_once(space: SearchSpace, algorithm: str, seed: int) -> None:
    assume(algorithm != "grid" or space.size is not None)
    variants = [trial.variant for trial in run(spec_of(space, algorithm=algorithm, seed=seed), 6)]
    assert len(variants) == min(6, space.size or 6)
    for variant in variants:
        values = values_of(variant)
        assert space.validate(values) == []
        assert space.active(values) == values
        assert variant.seed == seed
    assert len({variant.variant_id for variant in variants}) == len(variants)


@settings(max_examples=60, deadline=None)
@given(space=spaces(), data=st.data())
def test_values_are_read_back_as_they_were_encoded(space: SearchSpace, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**31 - 1))
    drawn = Proposer(spec_of(space, algorithm="random", seed=seed)).propose(0)
    assert drawn is not None
    values, objective = values_of(drawn), spec_of(space, algorithm="random").objective
    assert repr(History(EncodedSpace(space), objective=objective, is_kept=False).accept(0, values)) == repr(values)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(space=spaces(), algorithm=st.sampled_from(ALGORITHMS))
def test_small_space_is_spent_to_the_last_variant_and_then_there_is_none(space: SearchSpace, algorithm: str) -> None:
    assume(space.size is not None and space.size <= 16)
    trials = run(spec_of(space, algorithm=algorithm), 40)
    expected = {make_variant(space, values, seed=7).variant_id for values in space.grid()}
    assert {trial.variant.variant_id for trial in trials} == expected
    assert len(trials) == len(expected)


def test_grid_comes_in_the_order_of_the_space() -> None:
    space = space_from_mapping(COUNTABLE)
    trials = run(spec_of(space, algorithm="grid"), 100)
    assert [values_of(trial.variant) for trial in trials] == list(space.grid())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_resumed_proposer_goes_on_as_the_undisturbed_one(algorithm: str) -> None:
    spec = spec_of(space_from_mapping(COUNTABLE if algorithm == "grid" else MIXED), algorithm=algorithm)
    trials = run(spec, STARTUP_TRIALS + 10)
    for count in range(len(trials)):
        resumed = Proposer(spec)
        resumed.remember(trials[:count])
        assert resumed.propose(count) == trials[count].variant, f"after {count} trials"


@pytest.mark.parametrize(("algorithm", "space"), [("random", MIXED), ("random", COUNTABLE), ("grid", COUNTABLE)])
def test_proposals_that_learn_nothing_are_those_of_a_proposer_that_keeps_every_trial(
    algorithm: str, space: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(space_from_mapping(space), algorithm=algorithm)
    variants = [trial.variant for trial in run(spec, 40)]
    monkeypatch.setattr(History, "begin", lambda self, number: setattr(self, "is_kept", True))
    assert [trial.variant for trial in run(spec, 40)] == variants


@pytest.mark.parametrize("algorithm", ["random", "grid"])
def test_proposer_that_learns_nothing_holds_no_earlier_trials(algorithm: str) -> None:
    proposer = Proposer(spec_of(space_from_mapping(COUNTABLE), algorithm=algorithm))
    for number in range(12):
        variant = proposer.propose(number)
        assert variant is not None
        proposer.end_trial(play(number, variant, value=score))
    assert not proposer._history.tried
    assert not proposer._history.seen()


def test_resumed_proposer_goes_on_the_same_in_a_space_that_is_nearly_spent() -> None:
    spec = spec_of(space_from_mapping(COUNTABLE), algorithm="tpe")
    trials = run(spec, 100)
    assert len(trials) == spec.space.size
    for count in range(len(trials) - 6, len(trials)):
        resumed = Proposer(spec)
        resumed.remember(trials[:count])
        assert resumed.propose(count) == trials[count].variant


def test_order_in_which_trials_are_remembered_does_not_matter() -> None:
    spec = spec_of(space_from_mapping(MIXED), algorithm="tpe")
    trials = run(spec, STARTUP_TRIALS + 4)
    resumed = Proposer(spec)
    resumed.remember(reversed(trials[:-1]))
    assert resumed.propose(len(trials) - 1) == trials[-1].variant


def test_unfinished_trial_is_not_proposed_again_and_can_be_told_on() -> None:
    spec = spec_of(space_from_mapping({"family": "sequential", "params": {"stride": {"int": [1, 2]}}}), algorithm="tpe")
    first = Proposer(spec).propose(0)
    assert first is not None
    trial = play(0, first, value=score)
    unfinished = Trial(
        name=trial.name, number=0, variant=first, proposed_at=0.0, reports=trial.reports[:1], reported_at=[1.0]
    )
    resumed = Proposer(spec)
    resumed.remember([unfinished])
    second = resumed.propose(1)
    assert second is not None
    assert second != first
    assert resumed.propose(2) is None
    resumed.end_trial(trial)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_tpe_finds_better_variants_than_chance(mode: str) -> None:
    params = {"learning_rate": {"float": [1e-5, 1.0], "log": True}, "dropout": {"float": [0, 1]}}
    space = space_from_mapping({"family": "sequential", "params": params})
    sign = 1.0 if mode == "max" else -1.0

    def height(variant: Variant) -> float:
        rate, dropout = variant.params["learning_rate"], variant.params["dropout"]
        assert isinstance(rate, float)
        assert isinstance(dropout, float)
        return 2.0 - (math.log10(rate) + 3) ** 2 / 9 - (dropout - 0.3) ** 2

    def best(algorithm: str, seed: int) -> float:
        spec = spec_of(space, algorithm=algorithm, seed=seed, mode=mode)
        proposer, heights = Proposer(spec), []
        for number in range(30):
            variant = proposer.propose(number)
            assert variant is not None
            heights.append(height(variant))
            value = sign * heights[-1]
            # Numbers that are 0 modulo 42 complete.
            trial = play(0, variant, value=lambda _, value=value: value, metric=spec.objective.metric)
            trial.number = number
            proposer.end_trial(trial)
        return max(heights)

    seeds = range(7)
    tpe, chance = ([best(algorithm, seed) for seed in seeds] for algorithm in ("tpe", "random"))
    assert statistics.median(tpe) > statistics.median(chance)


def test_tpe_keeps_away_from_what_fails() -> None:
    params = {"optimizer": {"choice": ["adam", "sgd"]}, "dropout": {"float": [0, 1]}}
    spec = spec_of(space_from_mapping({"family": "sequential", "params": params}), algorithm="tpe")
    proposer, num_failing = Proposer(spec), 0
    for number in range(40):
        variant = proposer.propose(number)
        assert variant is not None
        trial = play(0, variant, value=score)
        if variant.params["optimizer"] == "sgd":
            failure = TrialFailed(trial=trial.name, kind="infeasible", reason="too small", at=1.0)
            trial = Trial(name=trial.name, number=0, variant=variant, proposed_at=0.0, failure=failure)
            num_failing += number >= 20
        trial.number = number
        proposer.end_trial(trial)
    assert num_failing <= 10


def ended(number: int, variant: Variant, *, values: Sequence[float], kind: str = "") -> Trial:
    """Returns a trial that failed after some epochs, or was trained to its end."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    for epoch, value in enumerate(values, start=1):
        metrics = {"val_accuracy": value, "val_loss": 1 - value}
        is_last = epoch == len(values) and not kind
        trial.reports.append(
            EpochReport(epoch=epoch, metrics=metrics, train_seconds=1.0, images_per_second=1.0, is_last=is_last)
        )
    if kind:
        trial.failure = TrialFailed(trial=trial.name, kind=kind, reason="why", at=1.0)
    return trial


RATES = {"family": "sequential", "params": {"learning_rate": {"float": [1e-4, 10.0], "log": True}}}


def diverging(number: int, variant: Variant, *, kind: str = "diverged") -> Trial:
    """Returns a trial that fails after good epochs where the learning rate is above 0.1, else is stopped as fair."""
    if variant.params["learning_rate"] > 0.1:  # type: ignore[operator]
        return ended(number, variant, values=(0.9, 0.95), kind=kind)
    trial = ended(number, variant, values=(0.1,), kind=kind)
    trial.failure = None
    trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=1.0)
    return trial


def good_rates(proposer: Proposer, number: int) -> list[float]:
    """Returns the learning rates of the trials that the estimator takes for good ones."""
    history = proposer._history
    good, _ = Tpe(spec_of(space_from_mapping(RATES), algorithm="tpe")).estimator(history, seed=number).good_and_others
    # On a log scale Optuna counts by the value itself.
    return [float(item.numbers[0]) for item in good]


@pytest.mark.parametrize("kind", ["diverged", "infeasible", "out_of_memory", "timed_out"])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_failed_trial_is_never_among_the_good_ones_however_good_it_was_before(kind: str, mode: str) -> None:
    spec = spec_of(space_from_mapping(RATES), algorithm="tpe", mode=mode)
    proposer, rates = Proposer(spec), []
    for number in range(STARTUP_TRIALS + 22):
        variant = proposer.propose(number)
        assert variant is not None
        rates.append(variant.params["learning_rate"])
        proposer.end_trial(diverging(number, variant, kind=kind))
        good = good_rates(proposer, number + 1)
        assert all(rate <= 0.1 for rate in good)
        assert good or not any(rate <= 0.1 for rate in rates)  # type: ignore[operator]
    failed = [rate > 0.1 for rate in rates]  # type: ignore[operator]
    assert sum(failed[:STARTUP_TRIALS]) >= 2, "this seed no longer shows anything"
    assert sum(failed[STARTUP_TRIALS:]) <= 4


def test_study_in_which_everything_failed_has_no_good_trial_and_goes_on() -> None:
    spec = spec_of(space_from_mapping(RATES), algorithm="tpe")
    proposer = Proposer(spec)
    for number in range(STARTUP_TRIALS + 6):
        assert good_rates(proposer, number) == []
        variant = proposer.propose(number)
        assert variant is not None
        proposer.end_trial(ended(number, variant, values=(0.9,), kind="diverged"))


def test_proposals_after_a_diverged_trial_are_the_same_live_and_replayed() -> None:
    spec = spec_of(space_from_mapping(RATES), algorithm="tpe")
    live, trials = Proposer(spec), []
    for number in range(STARTUP_TRIALS + 12):
        variant = live.propose(number)
        assert variant is not None
        replayed = Proposer(spec)
        replayed.remember(trials)
        assert replayed.propose(number) == variant, f"after {number} trials"
        trials.append(diverging(number, variant))
        live.end_trial(trials[-1])
    assert sum(trial.failure is not None for trial in trials) >= 2


def test_order_in_which_trials_end_does_not_matter() -> None:
    spec = spec_of(space_from_mapping(RATES), algorithm="tpe")
    told = []
    for turn in (1, -1):
        proposer = Proposer(spec)
        variants = [proposer.propose(number) for number in range(STARTUP_TRIALS + 2)]
        trials = [diverging(number, variant) for number, variant in enumerate(variants) if variant is not None]
        for trial in trials[::turn]:
            proposer.end_trial(trial)
        told.append(proposer.propose(len(trials)))
    assert told[0] == told[1]


def test_another_seed_proposes_other_variants() -> None:
    space = space_from_mapping(MIXED)
    variants = (Proposer(spec_of(space, algorithm="tpe", seed=seed)).propose(0) for seed in (1, 2, 1))
    first, other, again = (variant.params for variant in variants if variant is not None)
    assert first == again != other
