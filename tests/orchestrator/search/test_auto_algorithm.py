"""What `algorithm: auto` becomes, that the choice fits every study, and that it is told."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from orchestrator.search.algorithms.gaussian_process import MOST_TRIALS
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.auto_algorithm import MOST_MODELLED, with_algorithm
from orchestrator.study.checks import check_study
from orchestrator.study.loading import load_study
from orchestrator.study.objectives import Objective
from orchestrator.study.spec import StudySpec
from search_spaces import SearchSpace

COUNTABLE = {"filters": {"choice": [8, 16, 32]}, "num_blocks": {"int": [1, 4]}}
NUMBERS = {"learning_rate": {"float": [1e-4, 0.1], "log": True}, **COUNTABLE}
NAMED = {
    "learning_rate": {"float": [1e-4, 0.1], "log": True},
    "head": {"choice": ["flatten", "global_max"]},
    "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
}


def study(params: Any = None, **search: Any) -> StudySpec:
    space = {"family": "sequential", "params": params or NUMBERS}
    return load_study(
        {"name": "s", "data": {"source": "digits"}, "space": space, "search": {"algorithm": "auto", **search}}
    )


def several(spec: StudySpec) -> StudySpec:
    mapping = [{"metric": "val_accuracy"}, {"metric": "parameters"}]
    return spec.model_copy(update={"objective": Objective.model_validate(mapping)})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (study(COUNTABLE), "grid, as the 12 trials are all variants that the space has"),
        (study(COUNTABLE, trials=500), "grid, as the 12 trials are all"),
        (study(COUNTABLE, trials=11), "gp, as "),
        (study(COUNTABLE, prior={"filters": 16}), "gp, as "),
        (study(COUNTABLE, start_with=[{"filters": 16, "num_blocks": 2}]), "gp, as "),
        (study(COUNTABLE, minutes=10), "gp, as "),
        (study(COUNTABLE, patience=3), "gp, as "),
        (study({"filters": {"int": [1, 2000]}}), "tpe, as "),
        (study({"filters": {"int": [1, 3]}}, patience=2), "sobol, as 3 trials are too few to learn from"),
        (study(trials=9), "sobol, as 9 trials are too few to learn from, and its points fill the space evenly"),
        (study(trials=10), "gp, as "),
        (study(), "gp, as "),
        (study(trials=120), "gp, as "),
        (study(trials=121), "tpe, as gp learns from 120 trials at most, and there may be 121"),
        (several(study(trials=24)), "tpe, as there are 2 objectives, for which its fronts were the best"),
        (several(study(trials=9)), "sobol, as 9 trials are too few"),
        (study(NAMED, trials=24), "tpe, as 2 of 3 parameters choose among named options, where gp finds no more"),
    ],
)
def test_the_number_of_trials_and_the_space_decide(spec: StudySpec, told: str) -> None:
    found, said = with_algorithm(spec)
    assert said.startswith(told)
    assert said.startswith(f"{found.search.algorithm}, as ")
    assert with_algorithm(found) == (found, "")


def test_a_study_that_names_its_algorithm_keeps_it() -> None:
    for algorithm in ("random", "sobol", "tpe", "gp"):
        spec = study(algorithm=algorithm)
        assert with_algorithm(spec) == (spec, "")


@settings(max_examples=60, deadline=None)
@given(space=spaces(), trials=st.none() | st.integers(1, 300), data=st.data())
def test_what_it_becomes_can_search_the_space(space: SearchSpace, trials: int | None, data: st.DataObject) -> None:
    search = {"algorithm": "auto", "trials": trials, "patience": data.draw(st.none() | st.just(5))}
    spec = StudySpec.model_validate({"name": "s", "data": {"source": "digits"}, "space": space, "search": search})
    found, _ = with_algorithm(spec)
    assert [problem for problem in check_study(found, space=space) if problem.path.startswith("search.")] == []
    assert found.num_trials == spec.num_trials
    assert Proposer(found).propose(0) is not None


def test_it_counts_on_as_many_trials_as_the_model_is_fitted_to() -> None:
    assert MOST_MODELLED == MOST_TRIALS
