"""Which values a trial has that goes on from another's checkpoint."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from orchestrator.search.perturbation import FACTORS, perturbed
from orchestrator.study.checks import changeable_parameters
from search_spaces import SearchSpace, Variant, make_variant, space_from_mapping
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import CHANGEABLE, DYNAMIC, without_dynamic

PARAMS: dict[str, Any] = {
    "filters": {"choice": [8, 16]},
    "batch_size": {"choice": [32, 64]},
    "optimizer": {"choice": ["adam", "sgd"]},
    "learning_rate": {"float": [1e-4, 1e-1], "log": True},
    "momentum": {"float": [0.8, 0.99], "when": {"optimizer": "sgd"}},
    "weight_decay": {"choice": [0.0, 1e-4, 1e-3, 1e-2]},
    "dropout": {"float": [0.0, 0.5], "step": 0.1},
    "label_smoothing": {"float": [0.0, 0.2]},
}


def space_of(**params: Any) -> SearchSpace:
    return space_from_mapping({"family": "sequential", "params": PARAMS | params})


SPACE = space_of()
VALUES: dict[str, Any] = {
    "family": "sequential",
    "filters": 8,
    "batch_size": 32,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-3,
    "dropout": 0.2,
    "label_smoothing": 0.1,
}


def variant_of(space: SearchSpace = SPACE, **values: Any) -> Variant:
    return make_variant(space, space.active(VALUES | values), seed=5)


def draws(variant: Variant, *, space: SearchSpace = SPACE, count: int = 300) -> list[Variant]:
    found = [perturbed(variant, space=space, random=np.random.default_rng([7, number])) for number in range(count)]
    assert None not in found
    return [item.variant for item in found if item is not None]


def test_dynamic_parameters_may_change_and_the_rest_stays_with_the_weights() -> None:
    assert changeable_parameters(SPACE, family="sequential") == ["learning_rate", "momentum", "weight_decay", "dropout"]
    variant = variant_of()
    for other in draws(variant):
        assert (other.family, other.seed) == (variant.family, variant.seed)
        changed = {name for name in variant.params if other.params[name] != variant.params[name]}
        assert changed
        assert changed <= set(DYNAMIC)
        # The trace is the same one: neither does a 0 appear, nor does one go.
        family = FAMILIES["sequential"]
        traces = [without_dynamic(family.with_defaults(item.params)) for item in (variant, other)]
        assert traces[0] == traces[1]


def test_values_are_multiplied_by_the_factors_or_drawn_anew_one_time_in_four() -> None:
    ratios = Counter(round(float(other.params["learning_rate"]) / 0.01, 6) for other in draws(variant_of(), count=2000))
    near = [ratios[factor] / 2000 for factor in FACTORS]
    assert all(0.34 < share < 0.41 for share in near)
    assert 0.22 < 1 - sum(near) < 0.28


def test_values_keep_their_ranges() -> None:
    for other in draws(variant_of(learning_rate=0.09, momentum=0.98)):
        assert SPACE.validate({"family": other.family, **other.params}) == []


def test_choices_and_steps_go_to_a_neighbour_unless_drawn_anew() -> None:
    found = Counter(other.params["weight_decay"] for other in draws(variant_of(), count=1000))
    assert min(found[1e-4], found[1e-2]) > 300
    found = Counter(other.params["dropout"] for other in draws(variant_of(), count=1000))
    assert min(found[0.1], found[0.3]) > 300
    # 0 may be drawn, and is not taken: the graph would be another one.
    assert 0.0 not in found


def test_what_is_zero_stays_so() -> None:
    others = draws(variant_of(weight_decay=0.0, dropout=0.0))
    assert {(other.params["weight_decay"], other.params["dropout"]) for other in others} == {(0.0, 0.0)}


def test_equal_generators_give_equal_variants() -> None:
    assert draws(variant_of(), count=20) == draws(variant_of(), count=20)


def test_inactive_parameters_stay_so() -> None:
    assert all("momentum" not in other.params for other in draws(variant_of(optimizer="adam"), count=20))


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0, "dropout": 0.0},
        {"learning_rate": {"choice": [0.01]}, "momentum": 0.9, "weight_decay": 0.1, "dropout": 0.2},
    ],
)
def test_variant_of_which_nothing_may_change_gives_none(values: dict[str, Any]) -> None:
    space = space_of(**values)
    variant = variant_of(space, learning_rate=0.01, **{n: v for n, v in values.items() if n != "learning_rate"})
    assert perturbed(variant, space=space, random=np.random.default_rng(0)) is None


def test_parameter_that_others_depend_on_stays() -> None:
    space = space_of(
        weight_decay={"choice": [1e-3, 1e-2]}, label_smoothing={"float": [0, 0.2], "when": {"weight_decay": 1e-3}}
    )
    assert "weight_decay" not in changeable_parameters(space, family="sequential")


def test_what_a_users_function_gets_is_its_own() -> None:
    params = {"function": "models:build", "dropout": {"float": [0.1, 0.5]}, "learning_rate": {"float": [0.1, 1.0]}}
    custom = space_from_mapping({"family": "custom", "params": params})
    assert changeable_parameters(custom, family="custom") == ["learning_rate"]
    hypermodel = space_from_mapping({"family": "keras_tuner", "params": params})
    assert changeable_parameters(hypermodel, family="keras_tuner") == []
    assert set(DYNAMIC) < set(CHANGEABLE)
