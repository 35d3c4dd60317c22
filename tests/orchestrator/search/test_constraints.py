"""What searches learn of constraints: they go on where trials keep to them, and a resumed one goes on alike."""

from typing import Any

import pytest

from orchestrator.journal.records import TrialFailed
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, make_variant, space_from_mapping
from trainables.reports import EpochReport

SPACE = {"family": "sequential", "params": {name: {"float": [0, 1]} for name in ("a", "b", "c")}}
LEARNING = ["tpe", "bohb", "gp", "cmaes", "nsga2"]
#: The accuracy grows with a, and so does the cost: 1,000 times a.
LIMIT = ["parameters <= 400"]


def spec_of(algorithm: str, constraints: list[str], **changes: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 4,
            "data": {"source": "digits"},
            "space": space_from_mapping(SPACE),
            "constraints": constraints,
            "search": {"algorithm": algorithm},
            **changes,
        }
    )


def ended(number: int, variant: Variant) -> Trial:
    """Returns a trial that has completed; one in nine failed after a report."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0)
    a, b, c = (float(variant.params[name]) for name in "abc")  # type: ignore[arg-type]
    value = 0.5 + 0.4 * a - 0.1 * (b - 0.5) ** 2 - 0.1 * (c - 0.5) ** 2
    has_failed = number % 9 == 5
    cost = {"parameters": 1000 * a, "latency_ms": 1 + b}
    trial.reports.append(
        EpochReport(
            epoch=1,
            metrics={"val_accuracy": value},
            train_seconds=1,
            images_per_second=1,
            is_last=not has_failed,
            cost=cost,
        )
    )
    trial.reported_at.append(float(number))
    if has_failed:
        trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="loss is nan", at=float(number))
    return trial


def trials_of(spec: StudySpec, count: int) -> list[Trial]:
    proposer, trials = Proposer(spec), []
    for number in range(count):
        variant = proposer.propose(number)
        assert variant is not None
        trials.append(ended(number, variant))
        proposer.end_trial(trials[-1])
    return trials


def num_kept(trials: list[Trial]) -> int:
    return sum(float(trial.variant.params["a"]) <= 0.4 for trial in trials)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", LEARNING)
def test_a_search_goes_where_trials_keep_to_the_constraints(algorithm: str) -> None:
    # A proposal of the model takes a while.
    count = 20 if algorithm == "gp" else 36
    with_limit, without = (trials_of(spec_of(algorithm, limit), count)[count // 2 :] for limit in (LIMIT, []))
    assert num_kept(with_limit) >= 0.4 * (count // 2)
    assert num_kept(with_limit) > num_kept(without) + 3


@pytest.mark.parametrize("algorithm", ["random", "sobol"])
def test_a_search_that_does_not_learn_draws_as_ever(algorithm: str) -> None:
    with_limit, without = (trials_of(spec_of(algorithm, limit), 12) for limit in (LIMIT, []))
    assert [trial.variant for trial in with_limit] == [trial.variant for trial in without]


OBJECTIVES = [{"metric": "val_accuracy"}, {"metric": "parameters"}, {"metric": "latency_ms"}]


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [*((name, {}) for name in LEARNING), ("nsga3", {"objective": OBJECTIVES}), ("tpe", {"objective": OBJECTIVES})],
)
def test_a_resumed_search_with_constraints_goes_on_as_the_undisturbed_one(
    algorithm: str, changes: dict[str, Any]
) -> None:
    spec = spec_of(algorithm, [*LIMIT, "val_accuracy >= 0.55"], **changes)
    trials = trials_of(spec, 15)
    for count in (0, 7, 10, 14):
        resumed = Proposer(spec)
        resumed.remember(trials[:count])
        assert resumed.propose(count) == trials[count].variant, f"after {count} trials"


def test_optuna_takes_failed_trials_for_worse_than_any_that_breaks_a_constraint() -> None:
    spec = spec_of("tpe", LIMIT)
    history = History(EncodedSpace(spec.space), objective=spec.objective, conditions=spec.conditions, is_kept=True)
    for number, a in enumerate((0.9, 0.2, 0.2, 0.2, 0.2, 0.2)):
        values = {"family": "sequential", "a": a, "b": 0.5, "c": number / 10}
        history.accept(number, values)
        history.end(ended(number, make_variant(spec.space, values, seed=0)))
    found = [item.constraints["parameters <= 400"] for item in history.seen()]
    assert found == [pytest.approx(1.25), *[pytest.approx(-0.5)] * 4, float("inf")]
    assert [round(item.excess, 6) for item in history.tried.values()] == [1.25, 0, 0, 0, 0, 0]
