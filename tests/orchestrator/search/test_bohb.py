"""The estimator at one epoch: which epoch it is, and which trials say something there."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_studies import spec_of

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.bohb import RANDOM_SHARE, Bohb, last_epoch
from orchestrator.search.algorithms.proposer import Proposer
from search_spaces import Variant, make_variant, space_from_mapping
from trainables.reports import EpochReport

#: Two parameters that vary: four trials are enough.
SPACE = space_from_mapping(
    {
        "family": "sequential",
        "params": {"dropout": {"float": [0, 0.5]}, "learning_rate": {"float": [1e-5, 1e-1], "log": True}},
    }
)
ENOUGH = 4
NUM_SEEN = 30


def trial_of(number: int, variant: Variant, values: Sequence[float], *, end: str = "stopped") -> Trial:
    """Returns a trial that reported these values, and is completed, stopped, failed or running."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    for epoch, value in enumerate(values, start=1):
        is_last = end == "completed" and epoch == len(values)
        report = EpochReport(
            epoch=epoch, metrics={"val_accuracy": value}, train_seconds=1.0, images_per_second=1.0, is_last=is_last
        )
        trial.reports.append(report)
        trial.reported_at.append(float(epoch))
    if end == "stopped":
        trial.stop = TrialStopped(trial=trial.name, epoch=len(values), reason="weak", at=9.0)
    if end == "failed":
        trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="nan", at=9.0)
    return trial


def variant_of(number: int) -> Variant:
    """Returns one of a row of variants whose dropout grows."""
    values = {"family": "sequential", "dropout": 0.5 * number / NUM_SEEN, "learning_rate": 1e-3 * (1 + number)}
    return make_variant(SPACE, values, seed=0)


def proposed(trials: Sequence[Trial], *, seed: int = 0, count: int = 1) -> list[Variant]:
    """Returns what is proposed next, beside the running ones of the trials."""
    found = []
    for number in range(len(trials), len(trials) + count):
        proposer = Proposer(spec_of(SPACE, algorithm="bohb", seed=seed))
        proposer.remember(trials)
        found.append(proposer.propose(number, running=[trial for trial in trials if not trial.has_ended]))
    return found


ENDS = st.sampled_from(["completed", "stopped", "failed", "running"])


@given(drawn=st.lists(st.tuples(st.integers(0, 9), ENDS), max_size=30), least=st.integers(1, 8))
def test_the_epoch_is_the_last_that_enough_trials_have_come_to(drawn, least) -> None:
    trials = [trial_of(number, variant_of(number), [0.5] * epoch, end=end) for number, (epoch, end) in enumerate(drawn)]
    furthest = max((epoch for epoch, _ in drawn), default=0)
    comes = [0 if end == "failed" else furthest if end == "completed" and epoch else epoch for epoch, end in drawn]
    epoch = last_epoch(trials, least=least)
    assert epoch == 0 or sum(come >= epoch for come in comes) >= least
    assert sum(come >= epoch + 1 for come in comes) < least


def seen() -> list[Trial]:
    """Returns trials of which one in three was stopped after three epochs, the others after one."""
    curves = [[0.3, 0.4, 0.5 + 0.01 * number] if number % 3 == 0 else [0.2] for number in range(NUM_SEEN)]
    return [trial_of(number, variant_of(number), values) for number, values in enumerate(curves)]


def test_what_trials_had_at_other_epochs_changes_nothing() -> None:
    far = [trial_of(NUM_SEEN + number, variant_of(number + 1), [0.3, 0.4, 0.5, 0.9]) for number in range(ENOUGH - 1)]
    before, other = [*seen(), *far], []
    for trial in before:
        values = [report.metrics["val_accuracy"] for report in trial.reports]
        changed = [0.9 - value for value in values[:2]] + values[2:3] + [0.1 for _ in values[3:]]
        other.append(trial_of(trial.number, trial.variant, changed))
    assert proposed(before, count=12) == proposed(other, count=12)


def test_a_trial_that_was_stopped_before_the_epoch_says_nothing() -> None:
    other = [
        trial if len(trial.reports) == 3 else trial_of(trial.number, variant_of(trial.number % 3), [0.2])
        for trial in seen()
    ]
    assert proposed(seen(), count=12) == proposed(other, count=12)


def test_what_trials_had_at_the_epoch_changes_what_is_proposed() -> None:
    other = []
    for trial in seen():
        values = [report.metrics["val_accuracy"] for report in trial.reports]
        other.append(trial_of(trial.number, trial.variant, values[:2] + [1 - value for value in values[2:]]))
    assert proposed(seen(), count=12) != proposed(other, count=12)


def test_running_trials_count_once_they_have_come_to_the_epoch() -> None:
    before = seen()
    best = trial_of(NUM_SEEN, variant_of(NUM_SEEN // 2), [0.3, 0.4, 0.99], end="running")
    worst = trial_of(NUM_SEEN, variant_of(NUM_SEEN // 2), [0.3, 0.4, 0.01], end="running")
    begun, silent = replace(best, reports=best.reports[:1]), replace(best, reports=[])
    assert proposed([*before, best], count=12) != proposed([*before, worst], count=12)
    # One on its way counts as weak, whatever it reported so far.
    assert proposed([*before, begun], count=12) == proposed([*before, silent], count=12)


def with_failed(value: float) -> list[Trial]:
    """Returns the trials, of which every ninth failed after it had this value at the epoch."""
    return [
        trial_of(trial.number, trial.variant, [0.3, 0.4, value], end="failed") if trial.number % 9 == 0 else trial
        for trial in seen()
    ]


def test_a_failed_trial_is_none_of_the_good_ones_however_good_it_was() -> None:
    assert proposed(with_failed(0.99), count=12) == proposed(with_failed(0.0), count=12)
    assert proposed(with_failed(0.99), count=12) != proposed(seen(), count=12)


def test_one_draw_in_three_is_random_and_all_are_until_enough_trials_reported() -> None:
    count = 90
    drawn = [proposed([], seed=seed)[0] for seed in range(count)]
    few = [trial_of(number, variant_of(number), [0.5]) for number in range(ENOUGH - 1)]
    # A random draw depends on the number of the trial and on nothing else.
    random = [Proposer(spec_of(SPACE, algorithm="random", seed=seed)).propose(0) for seed in range(count)]
    assert drawn == random
    for trials, share in ((few, 1.0), (seen(), RANDOM_SHARE)):
        number = len(trials)
        same = [
            proposed(trials, seed=seed)[0] == Proposer(spec_of(SPACE, algorithm="random", seed=seed)).propose(number)
            for seed in range(count)
        ]
        assert statistics.mean(same) == pytest.approx(share, abs=0.15 if share < 1 else 0)


def test_it_learns_from_trials_of_which_most_are_stopped_early() -> None:
    def away(algorithm: str, seed: int) -> float:
        proposer, found = Proposer(spec_of(SPACE, algorithm=algorithm, seed=seed)), []
        for number in range(45):
            variant = proposer.propose(number)
            far = abs(float(variant.params["dropout"]) - 0.1)  # type: ignore[arg-type]
            # The first epoch tells nothing: everyone has the same value there.
            values = [0.2] if number % 3 else [0.2, 0.4, 0.9 - far]
            proposer.end_trial(trial_of(number, variant, values))
            found.append(far)
        return statistics.mean(found[20:])

    learned, random = ([away(algorithm, seed) for seed in range(6)] for algorithm in ("bohb", "random"))
    assert statistics.mean(learned) < 0.8 * statistics.mean(random)


def test_the_estimator_waits_for_two_more_trials_than_parameters_vary() -> None:
    assert Bohb(spec_of(SPACE, algorithm="bohb"))._least == ENOUGH
