"""The contract of every search algorithm: a new one is green here or not."""

import functools
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from orchestrator.journal.records import TrialStopped
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
        epoch=1, metrics={"val_accuracy": value}, train_seconds=1.0, images_per_second=1.0, is_last=is_last
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


@pytest.mark.parametrize("seed", range(4))
def test_a_resumed_search_goes_on_alike_beside_running_trials_of_other_parameters(algorithm, seed):
    spec = spec_of(algorithm, seed=seed, space=space_from_mapping(CONDITIONAL))
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
