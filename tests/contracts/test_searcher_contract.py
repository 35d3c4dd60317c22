"""The contract of every search algorithm: a new one is green here or not."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import pytest

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.study.sections import Search
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, make_variant, space_from_mapping
from trainables.reports import EpochReport

#: Two families, conditions, steps, choices; 64 variants.
SPACE = {
    "family": {"choice": ["sequential", "residual"]},
    "params": {
        "num_blocks": {"int": [1, 2], "when": {"family": "sequential"}},
        "num_stages": {"int": [1, 2], "when": {"family": "residual"}},
        "filters": {"choice": [4, 8]},
        "dropout": {"float": [0, 0.3], "step": 0.1},
        "optimizer": {"choice": ["adam", "sgd"]},
    },
}
NUM_TRIALS = 20

pytestmark = pytest.mark.parametrize("algorithm", SEARCHERS)


def spec_of(algorithm: str, **changes: Any) -> StudySpec:
    study: dict[str, Any] = {"name": "s", "seed": 3, "data": {"source": "digits"}, "search": {"algorithm": algorithm}}
    return StudySpec.model_validate(study | {"space": space_from_mapping(SPACE)} | changes)


def trials_of(spec: StudySpec) -> Iterator[Trial]:
    """Yields the trials of a study run one after another, every third of them stopped early."""
    proposer = Proposer(spec)
    for number in range(NUM_TRIALS):
        variant = proposer.propose(number)
        assert variant is not None
        trial = ended(number, variant)
        proposer.end_trial(trial)
        yield trial


def ended(number: int, variant: Variant) -> Trial:
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    value = sum(map(ord, variant.variant_id)) % 97 / 97
    is_last = number % 3 != 0
    report = EpochReport(
        epoch=1,
        metrics={"val_accuracy": value},
        train_seconds=1.0,
        images_per_second=1.0,
        is_last=is_last,
        cost={"parameters": 100.0 * len(variant.params) + 10 * value},
    )
    trial.reports.append(report)
    trial.reported_at.append(1.0)
    if not is_last:
        trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=2.0)
    return trial


def test_a_study_file_may_name_it(algorithm):
    assert algorithm in get_args(Search.model_fields["algorithm"].annotation)


@functools.cache
def undisturbed(algorithm: str) -> tuple[Trial, ...]:
    """Returns the trials of an algorithm's study, made once."""
    return tuple(trials_of(spec_of(algorithm)))


def test_its_variants_lie_in_the_space_and_none_comes_twice(algorithm):
    spec = spec_of(algorithm)
    variants = [trial.variant for trial in undisturbed(algorithm)]
    assert all(spec.space.validate({"family": item.family, **item.params}) == [] for item in variants)
    assert len({item.variant_id for item in variants}) == NUM_TRIALS


def test_equal_seeds_give_equal_variants(algorithm):
    assert [trial.variant for trial in trials_of(spec_of(algorithm))] == [
        trial.variant for trial in undisturbed(algorithm)
    ]


TWO_OBJECTIVES = {"objective": [{"metric": "val_accuracy"}, {"metric": "parameters"}]}


@functools.cache
def undisturbed_with_two_objectives(algorithm: str) -> tuple[Trial, ...]:
    return tuple(trials_of(spec_of(algorithm, **TWO_OBJECTIVES)))


@pytest.mark.parametrize("count", [0, 1, 9, 13, NUM_TRIALS - 1])
def test_a_resumed_search_of_two_objectives_goes_on_as_the_undisturbed_one(algorithm, count):
    trials = undisturbed_with_two_objectives(algorithm)
    resumed = Proposer(spec_of(algorithm, **TWO_OBJECTIVES))
    resumed.remember(trials[:count])
    assert resumed.propose(count) == trials[count].variant


def test_a_second_objective_changes_what_is_proposed_only_where_a_search_learns(algorithm):
    one = [trial.variant for trial in undisturbed(algorithm)]
    two = [trial.variant for trial in undisturbed_with_two_objectives(algorithm)]
    assert (one != two) is SEARCHERS[algorithm](spec_of(algorithm)).learns
    assert len({item.variant_id for item in two}) == NUM_TRIALS


@pytest.mark.parametrize("count", [0, 1, 9, 13, NUM_TRIALS - 1])
def test_a_resumed_search_goes_on_as_the_undisturbed_one(algorithm, count):
    trials = undisturbed(algorithm)
    resumed = Proposer(spec_of(algorithm))
    resumed.remember(trials[:count])
    assert resumed.propose(count) == trials[count].variant


def test_it_proposes_otherwise_where_nothing_is_known_of_earlier_trials_only_if_it_learns(algorithm):
    aware = [trial.variant for trial in undisturbed(algorithm)]
    proposer = Proposer(spec_of(algorithm))
    unaware = [proposer.propose(number) for number in range(NUM_TRIALS)]
    assert (unaware != aware) is SEARCHERS[algorithm](spec_of(algorithm)).learns


#: A parameter that is active for two of three optimizers, and in all trials that ended first.
CONDITIONAL = {
    "family": "sequential",
    "params": {
        "num_blocks": {"int": [1, 2]},
        "filters": {"int": [4, 64], "step": 4},
        "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
        "momentum": {"float": [0.5, 0.98], "step": 0.02, "when": {"optimizer": ["sgd", "rmsprop"]}},
    },
}
NUM_FIRST = 8
AT_ONCE = 3


@pytest.mark.parametrize("changes", [{}, TWO_OBJECTIVES], ids=["one objective", "two objectives"])
@pytest.mark.parametrize("seed", range(4))
def test_a_resumed_search_goes_on_alike_beside_running_trials_of_other_parameters(algorithm, seed, changes):
    spec = spec_of(algorithm, seed=seed, space=space_from_mapping(CONDITIONAL), **changes)
    live, trials = Proposer(spec), []
    for number in range(NUM_FIRST):
        values = {"num_blocks": 1, "filters": 4 + 4 * number, "optimizer": "sgd", "momentum": 0.5 + 0.02 * number}
        trials.append(ended(number, make_variant(spec.space, {"family": "sequential", **values}, seed=seed)))
    live.remember(trials)
    for number in range(NUM_FIRST, NUM_FIRST + 10):
        resumed = Proposer(spec)
        resumed.remember(trials)
        variant = live.propose(number)
        # A grid begins at its first variants again, and passes over those that were tried.
        assert resumed.propose(number) == variant, f"after {number} trials"
        trials.append(Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0))
        done = number - AT_ONCE + 1
        if done >= NUM_FIRST:
            trials[done] = ended(done, trials[done].variant)
            live.end_trial(trials[done])


#: A good guess of some of CONDITIONAL's parameters.
GUESS = {"filters": 32, "optimizer": "sgd", "momentum": 0.9}
NUM_PLAYED = 60


def played(number: int, variant: Variant, *, epochs: int, failure: str = "") -> Trial:
    """Returns a trial after so many of three epochs; it runs on, has completed, or failed."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    away = abs(variant.params["filters"] - 40) / 60 + abs(variant.params.get("momentum", 0.5) - 0.9)  # type: ignore[operator, arg-type]
    for epoch in range(1, epochs + 1):
        metrics = {"val_accuracy": 0.9 - 0.4 * away - 0.3 / epoch}
        report = EpochReport(
            epoch=epoch, metrics=metrics, train_seconds=1.0, images_per_second=1.0, is_last=epoch == 3 and not failure
        )
        trial.reports.append(report)
        trial.reported_at.append(float(epoch))
    if failure:
        trial.failure = TrialFailed(trial=trial.name, kind=failure, reason="why", at=9.0)
    return trial


def ending(number: int, variant: Variant) -> Trial:
    """Returns how a trial ends: most complete or are stopped, some fail before or after their first epochs."""
    if number % 11 == 3:
        return played(number, variant, epochs=0, failure="infeasible")
    if number % 13 == 6:
        return played(number, variant, epochs=2, failure="diverged")
    trial = played(number, variant, epochs=3 if number % 5 in (0, 2) else 1 + number % 2)
    if len(trial.reports) < 3:
        trial.stop = TrialStopped(trial=trial.name, epoch=len(trial.reports), reason="weak", at=9.0)
    return trial


def unfinished(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if not trial.has_ended]


def seen(spec: StudySpec, num_trials: int) -> Iterator[tuple[int, list[Trial], Variant | None]]:
    """Yields (number, what the journal has of all trials before, what is proposed) of a study with four at a time.

    They end in another order than they began: of those that run, each turn ends the last, the first or one between.
    """
    live, trials, running = Proposer(spec), [], []
    for number in range(num_trials):
        variant = live.propose(number, running=unfinished(trials))
        yield number, list(trials), variant
        if variant is None:
            return
        trials.append(played(number, variant, epochs=number % 3))
        running.append(number)
        while len(running) > number % 4:
            done = running.pop((number * 7) % len(running))
            trials[done] = ending(done, trials[done].variant)
            live.end_trial(trials[done])


@pytest.mark.parametrize("prior", [{}, GUESS], ids=["no guess", "guess"])
def test_a_study_of_sixty_trials_goes_on_alike_from_each_of_them(algorithm, prior):
    search = {"algorithm": algorithm, "prior": prior}
    spec, variants = spec_of(algorithm, space=space_from_mapping(CONDITIONAL), search=search), set()
    # A proposal of a model takes a while: beside a guess half as many do, and every sixth is made a second time.
    is_slow = algorithm == "gp"
    num_trials = NUM_PLAYED // 2 if is_slow and prior else NUM_PLAYED
    for number, before, variant in seen(spec, num_trials):
        assert spec.space.validate({"family": variant.family, **variant.params}) == []
        assert variant.variant_id not in variants, f"trial {number} comes a second time"
        variants.add(variant.variant_id)
        if not is_slow or number % 6 == 0:
            resumed = Proposer(spec)
            resumed.remember(before)
            assert resumed.propose(number, running=unfinished(before)) == variant, f"after {number} trials"
    assert len(variants) == num_trials


#: 15 variants.
SMALL = {
    "family": "sequential",
    "params": {
        "filters": {"int": [8, 24], "step": 8},
        "optimizer": {"choice": ["adam", "sgd"]},
        "momentum": {"float": [0.6, 0.9], "step": 0.1, "when": {"optimizer": "sgd"}},
    },
}


@pytest.mark.parametrize("prior", [{}, {"filters": 8, "optimizer": "adam"}], ids=["no guess", "guess"])
def test_a_study_ends_when_its_space_is_spent_also_after_a_resume(algorithm, prior):
    search = {"algorithm": algorithm, "prior": prior, "trials": 40}
    spec, proposed = spec_of(algorithm, space=space_from_mapping(SMALL), search=search), []
    for number, before, variant in seen(spec, 40):
        proposed.append(variant)
        resumed = Proposer(spec)
        resumed.remember(before)
        assert resumed.propose(number, running=unfinished(before)) == variant, f"after {number} trials"
    assert proposed.pop() is None
    assert len({variant.variant_id for variant in proposed}) == len(proposed) == spec.space.size == spec.num_trials
    assert resumed.propose(spec.num_trials + 1) is None
