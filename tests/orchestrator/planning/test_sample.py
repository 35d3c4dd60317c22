"""The variants of a plan are those that the study begins with, whatever its trials reach."""

import random

import pytest
from played_studies import COUNTABLE, MIXED, play, spec_of

from orchestrator.planning.sample import num_settled, sampled
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, space_from_mapping

SAMPLED = 24


def proposed_in_a_study(spec: StudySpec, *, count: int, slots: int, seed: int) -> list[Variant]:
    """Returns what a search proposes as trials end in any order with any values, some of them failing."""
    draws = random.Random(seed)
    proposer, running, found = Proposer(spec), [], []
    for number in range(count):
        variant = proposer.propose(number, running=[])
        if variant is None:
            break
        found.append(variant)
        running.append(play(number, variant, value=lambda _: draws.random()))
        while len(running) >= slots:
            proposer.end_trial(running.pop(draws.randrange(len(running))))
    return found


@pytest.mark.parametrize("algorithm", SEARCHERS)
@pytest.mark.parametrize("slots", [1, 3])
def test_a_study_begins_with_the_sampled_variants(algorithm: str, slots: int) -> None:
    space = space_from_mapping(COUNTABLE if algorithm == "grid" else MIXED)
    spec = spec_of(space, algorithm=algorithm, seed=3)
    variants = sampled(spec, count=SAMPLED)
    settled = num_settled(spec, num_sampled=len(variants))
    assert settled >= min(STARTUP_TRIALS, len(variants)) or algorithm == "grid"
    for seed in range(3):
        begun = proposed_in_a_study(spec, count=settled, slots=slots, seed=seed)
        assert [variant.variant_id for variant in begun] == [variant.variant_id for variant in variants[:settled]]
