"""The Gaussian process finds good values with few trials, from completed, stopped and failed ones alike."""

import math
import statistics
from typing import Any

import numpy as np
import pytest

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms import gaussian_process
from orchestrator.search.algorithms.gaussian_process import MOST_TRIALS, _kept
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.history import Tried
from orchestrator.search.surrogate import Surrogate, expected_improvement, scores_of
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, space_from_mapping
from trainables.reports import EpochReport

SPACE = {
    "family": "sequential",
    "params": {
        "learning_rate": {"float": [1e-4, 1e-1], "log": True},
        "dropout": {"float": [0, 0.5]},
        "filters": {"choice": [8, 16, 32, 64]},
        "activation": {"choice": ["relu", "elu", "selu"]},
        "batch_size": {"int": [8, 256], "log": True},
    },
}
NUM_TRIALS = 24
#: What `accuracy` is at most.
BEST = 0.92


def spec_of(algorithm: str, *, seed: int, metric: str = "val_accuracy") -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": seed,
            "data": {"source": "digits"},
            "space": space_from_mapping(SPACE),
            "objective": {"metric": metric},
            "search": {"algorithm": algorithm},
            "schedule": {"max_epochs": 2},
        }
    )


def accuracy(variant: Variant) -> float:
    params = variant.params
    return (
        0.9
        - 0.1 * (math.log10(params["learning_rate"]) + 2.5) ** 2
        - 0.4 * (params["dropout"] - 0.15) ** 2
        - 0.02 * (5 - math.log2(params["filters"]))
        - 0.05 * (params["activation"] != "elu")
        - 0.01 * abs(math.log2(params["batch_size"]) - 5)
    )


def ended(number: int, variant: Variant, *, value: float, how: str, metric: str = "val_accuracy") -> Trial:
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    report = EpochReport(
        epoch=1, metrics={metric: value}, train_seconds=1.0, images_per_second=1.0, is_last=how == "completed"
    )
    trial.reports.append(report)
    trial.reported_at.append(1.0)
    if how == "stopped":
        trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=2.0)
    if how == "failed":
        trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="nan", at=2.0)
    return trial


def best_of(algorithm: str, *, seed: int, mode: str = "max", how: str = "completed") -> float:
    metric = "val_accuracy" if mode == "max" else "val_loss"
    proposer, values = Proposer(spec_of(algorithm, seed=seed, metric=metric)), []
    for number in range(NUM_TRIALS):
        variant = proposer.propose(number)
        values.append(accuracy(variant))
        value = values[-1] if mode == "max" else 1 - values[-1]
        # Also the first ones teach it, however they ended.
        proposer.end_trial(ended(number, variant, value=value, how=how, metric=metric))
    return max(values)


@pytest.mark.parametrize(("mode", "how"), [("max", "completed"), ("min", "completed"), ("max", "stopped")])
def test_it_comes_closer_to_the_best_than_random_and_even_draws(mode, how):
    seeds = range(3)
    found = statistics.mean(best_of("gp", seed=seed, mode=mode, how=how) for seed in seeds)
    random = statistics.mean(best_of("random", seed=seed, mode=mode, how=how) for seed in range(20))
    even = statistics.mean(best_of("sobol", seed=seed, mode=mode, how=how) for seed in range(20))
    assert BEST - found < (BEST - max(even, random)) / 2, (found, random, even)


def test_where_all_trials_failed_it_goes_on_as_at_the_start() -> None:
    spec = spec_of("gp", seed=1)
    proposer, start = Proposer(spec), Proposer(spec_of("sobol", seed=1))
    for number in range(STARTUP_TRIALS + 4):
        variant = proposer.propose(number)
        assert variant == start.propose(number)
        proposer.end_trial(ended(number, variant, value=0.5, how="failed"))


def test_it_stays_away_from_where_trials_failed() -> None:
    proposer, learning_rates = Proposer(spec_of("gp", seed=2)), []
    for number in range(NUM_TRIALS):
        variant = proposer.propose(number)
        learning_rates.append(variant.params["learning_rate"])
        # The larger the better, until it diverges.
        how = "failed" if learning_rates[-1] > 1e-2 else "completed"
        proposer.end_trial(ended(number, variant, value=math.log10(learning_rates[-1]), how=how))
    later = learning_rates[-10:]
    assert sum(rate > 1e-2 for rate in later) <= 4
    assert max(rate for rate in later if rate <= 1e-2) > 6e-3


def test_what_is_running_is_believed_to_end_as_expected_and_promises_no_more_there() -> None:
    places = np.linspace(0, 1, 8)[:, None]
    model = Surrogate(places, np.sin(4 * places[:, 0]))
    waiting = np.array([[0.45]])
    before = model.expect(waiting)
    model.believe(waiting)
    after = model.expect(waiting)
    assert after[0] == pytest.approx(before[0], abs=0.02)
    assert after[1][0] < 0.9 * before[1][0]


def test_draws_of_what_was_tried_end_soon(monkeypatch) -> None:
    study = {**SPACE, "params": {"filters": {"choice": [8, 16, 32]}, "activation": {"choice": ["relu", "elu", "selu"]}}}
    spec = spec_of("gp", seed=5).model_copy(update={"space": space_from_mapping(study)})
    proposer, fits = Proposer(spec), []
    monkeypatch.setattr(gaussian_process, "Surrogate", lambda *given: fits.append(1) or Surrogate(*given))
    variants = []
    for number in range(9):
        variants.append(proposer.propose(number))
        proposer.end_trial(ended(number, variants[-1], value=0.5 + 0.01 * number, how="completed"))
    assert len({variant.variant_id for variant in variants}) == 9
    fits.clear()
    assert proposer.propose(9) is None
    assert len(fits) == gaussian_process.MODEL_ATTEMPTS


def test_a_study_whose_every_value_is_equal_goes_on() -> None:
    proposer = Proposer(spec_of("gp", seed=4))
    for number in range(STARTUP_TRIALS + 3):
        variant = proposer.propose(number)
        assert variant is not None
        proposer.end_trial(ended(number, variant, value=0.1, how="completed"))


def tried(value: float | None) -> Tried:
    values: dict[str, Any] = {}
    return Tried(values=values, has_ended=True, value=value)


def test_the_model_is_fitted_to_the_best_and_the_last_of_many_trials() -> None:
    ended_trials = [tried(value) for value in np.random.default_rng(0).random(1000)]
    kept = _kept(ended_trials)
    assert len(kept) == MOST_TRIALS
    best = sorted(ended_trials, key=lambda item: -item.value)[: MOST_TRIALS // 2]
    assert all(any(item is other for other in kept) for item in [*best, *ended_trials[-MOST_TRIALS // 2 :]][:60])
    assert kept[-1] is ended_trials[-1]
    assert [id(item) for item in ended_trials if any(item is other for other in kept)] == [id(item) for item in kept]


def test_scores_count_outliers_below_and_failures_as_the_worst_that_is_usual() -> None:
    scores = scores_of([0.8, 0.82, 0.84, 0.86, -50.0, None])
    assert scores.std() == pytest.approx(1)
    assert scores[4] == scores[5] == scores.min()
    assert scores[3] - scores[0] > 0.5


def test_the_surrogate_expects_what_it_saw_and_doubts_what_it_did_not() -> None:
    places = np.linspace(0, 1, 12)[:, None]
    model = Surrogate(places, np.sin(6 * places[:, 0]))
    means, deviations = model.expect(np.array([[0.5], [0.52]]))
    assert means == pytest.approx(np.sin([3.0, 3.12]), abs=0.1)
    assert model.expect(np.array([[3.0]]))[1][0] > max(0.3, 3 * deviations[0])
    # Noise is none of its doubts: of values that scatter around nothing it is sure that they are nothing.
    scattered = Surrogate(places, np.random.default_rng(0).normal(size=12))
    assert scattered.expect(places)[1].max() < 0.8
    assert expected_improvement(np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 2.0]), best=0.0) == pytest.approx(
        [0.3989, 1.0833, 0.7979], abs=1e-3
    )
