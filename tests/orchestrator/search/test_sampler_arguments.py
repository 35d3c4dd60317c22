"""Nothing that proposals depend on is left to the defaults of the installed libraries."""

import ast
import inspect
from types import ModuleType

import numpy as np
import optuna
import pytest
from cmaes import CMA
from played_studies import MIXED, play, score, spec_of
from scipy.stats import qmc
from sklearn.gaussian_process import GaussianProcessRegressor

from orchestrator.search import surrogate
from orchestrator.search.algorithms import cma_es, sobol
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.tpe import ARGUMENTS
from search_spaces import space_from_mapping

#: Arguments that Optuna deprecates, each with a value that it would take: passing one is a warning, so none is passed,
#: and what Optuna takes in their place is held by the values below. `gamma` is set all the same, after construction.
DEPRECATED = {
    "consider_prior": True,
    "prior_weight": 1.0,
    "consider_magic_clip": True,
    "consider_endpoints": False,
    "gamma": lambda count: 1,
    "weights": np.ones,
    "warn_independent_sampling": False,
    "constraints_func": lambda trial: (0.0,),
}


def arguments_of(made: type) -> set[str]:
    return set(inspect.signature(made).parameters)


def test_every_argument_of_the_estimator_is_passed_or_deprecated() -> None:
    assert arguments_of(optuna.samplers.TPESampler) == {"seed", *ARGUMENTS, *DEPRECATED}
    assert not ARGUMENTS.keys() & DEPRECATED.keys()


def test_the_sampler_of_random_draws_has_nothing_but_a_seed() -> None:
    assert arguments_of(optuna.samplers.RandomSampler) == {"seed"}


@pytest.mark.parametrize("name", DEPRECATED)
def test_an_argument_that_is_not_passed_is_one_that_optuna_warns_of(name: str) -> None:
    with pytest.warns(FutureWarning, match=name):
        optuna.samplers.TPESampler(**{name: DEPRECATED[name]})


@pytest.mark.parametrize(
    ("module", "made", "without_effect"),
    [
        # The old name of rng.
        (sobol, qmc.Sobol, {"seed"}),
        (cma_es, CMA, set()),
        # Whether memory is shared, how many columns nothing has before a fit, and luck where the optimizer restarts.
        (surrogate, GaussianProcessRegressor, {"copy_X_train", "n_targets", "random_state"}),
    ],
)
def test_every_argument_of_the_other_libraries_is_passed(
    module: ModuleType, made: type, without_effect: set[str]
) -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if ast.unparse(node.func).rpartition(".")[2] == made.__name__]
    assert not call.args
    assert {keyword.arg for keyword in call.keywords} | without_effect == arguments_of(made)


#: What the estimator proposed beside two running trials when its arguments were Optuna 5.0's defaults, by the number.
PROPOSED = {
    8: (1, 24, "sgd", 0.040350438534578974, 0.9522309107612892, 0.3, 62),
    19: (3, 32, "sgd", 0.0021838043346721157, 0.8883884531227462, 0.4, 30),
    29: (3, 32, "sgd", 0.04439444703405755, 0.9635448364311543, 0.4, 239),
}


def test_proposals_are_those_of_the_first_version() -> None:
    proposer, running = Proposer(spec_of(space_from_mapping(MIXED), algorithm="tpe", seed=0)), []
    for number in range(max(PROPOSED) + 1):
        variant = proposer.propose(number)
        assert variant is not None
        if number in PROPOSED:
            num_blocks, filters, optimizer, rate, momentum, dropout, batch_size = PROPOSED[number]
            assert variant.family == "sequential"
            # The last digits of a logarithm are those of the processor.
            assert variant.params == {
                "num_blocks": num_blocks,
                "filters": filters,
                "optimizer": optimizer,
                "learning_rate": pytest.approx(rate, rel=1e-9),
                "momentum": pytest.approx(momentum, rel=1e-9),
                "dropout": dropout,
                "batch_size": batch_size,
                "stride": 1,
            }
        running.append(play(number, variant, value=score))
        if len(running) > 2:
            proposer.end_trial(running.pop(number % 2))
