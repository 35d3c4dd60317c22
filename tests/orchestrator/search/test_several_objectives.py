"""What a search learns of trials with two objectives, and that it finds a front."""

import statistics

import pytest

from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.pareto.goals import Losses
from orchestrator.pareto.hypervolume import hypervolume
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, make_variant, space_from_mapping
from trainables.reports import EpochReport

#: One parameter leads along the front, the others away from it.
AWAY = ("b", "c", "d", "e")
SPACE = {"family": "sequential", "params": {name: {"float": [0, 1]} for name in ("a", *AWAY)}}
VALUES = {"family": "sequential", **dict.fromkeys(("a", *AWAY), 0.5)}


def spec_of(algorithm: str, *, seed: int = 0) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": seed,
            "data": {"source": "digits"},
            "space": space_from_mapping(SPACE),
            "objective": [{"metric": "val_accuracy"}, {"metric": "latency_ms"}],
            "search": {"algorithm": algorithm},
        }
    )


def ended(number: int, variant: Variant, *, value: float, cost: dict[str, float], is_last: bool = True) -> Trial:
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    metrics = {"val_accuracy": value}
    trial.reports.append(
        EpochReport(epoch=1, metrics=metrics, train_seconds=1, images_per_second=1, is_last=is_last, cost=cost)
    )
    trial.reported_at.append(1.0)
    if not is_last:
        trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=2.0)
    return trial


def history_of(trial: Trial) -> History:
    spec = spec_of("tpe")
    history = History(EncodedSpace(spec.space), objective=spec.objective, is_kept=True)
    history.accept(0, VALUES)
    history.end(trial)
    return history


@pytest.mark.parametrize("is_last", [True, False], ids=["completed", "stopped"])
def test_a_trial_counts_with_all_its_values_also_where_it_was_stopped(is_last: bool) -> None:
    variant = make_variant(spec_of("tpe").space, VALUES, seed=0)
    history = history_of(ended(0, variant, value=0.8, cost={"latency_ms": 3.0}, is_last=is_last))
    assert (history.tried[0].value, history.tried[0].losses) == (0.8, (-0.8, 3.0))
    assert history.seen()[0].values == [0.8, 3.0]
    assert history.num_with_values == 1


@pytest.mark.parametrize("is_failed", [True, False], ids=["failed", "without its cost"])
def test_a_trial_that_lacks_a_value_counts_as_worst(is_failed: bool) -> None:
    variant = make_variant(spec_of("tpe").space, VALUES, seed=0)
    trial = ended(0, variant, value=0.8, cost={"latency_ms": 3.0} if is_failed else {}, is_last=not is_failed)
    if is_failed:
        trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="nan", at=2.0)
    history = history_of(trial)
    assert (history.tried[0].value, history.tried[0].losses) == (None, None)
    assert history.seen()[0].values == []
    assert history.num_with_values == 0


def found(algorithm: str, *, seed: int, num_trials: int) -> float:
    """Returns the hypervolume that a search reaches."""
    proposer, points = Proposer(spec_of(algorithm, seed=seed)), list[Losses]()
    for number in range(num_trials):
        variant = proposer.propose(number)
        assert variant is not None
        along = float(variant.params["a"])
        away = sum(abs(float(variant.params[name]) - 0.3) for name in AWAY)
        point = (-(1 - along**2) + away, along + away)
        points.append(point)
        proposer.end_trial(ended(number, variant, value=-point[0], cost={"latency_ms": point[1]}))
    return hypervolume(points, reference=(1.0, 2.0))


@pytest.mark.parametrize("algorithm", ["tpe", "nsga2", "gp"])
def test_a_search_that_learns_comes_closer_to_the_front_than_random_draws(algorithm: str) -> None:
    num_trials = 24 if algorithm == "gp" else 40
    reached = {
        name: statistics.fmean(found(name, seed=seed, num_trials=num_trials) for seed in range(3))
        for name in (algorithm, "random")
    }
    assert reached[algorithm] > reached["random"] + 0.1
