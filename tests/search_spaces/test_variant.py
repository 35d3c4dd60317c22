"""Variants: equal content, equal id."""

import copy
import pickle
import re

import pytest

from search_spaces import SpaceError, Variant, make_variant, space_from_mapping

SPACE = space_from_mapping(
    {
        "family": {"choice": ["sequential", "residual"]},
        "params": {
            "dropout": {"float": [0, 1]},
            "filters": {"choice": [[16, 32], [32, 64]]},
            "optimizer": {"choice": ["adam", "sgd"]},
            "momentum": {"float": [0, 0.9], "step": 0.1, "when": {"optimizer": "sgd"}},
        },
    }
)
VALUES = {"family": "sequential", "dropout": 1, "filters": [16, 32], "optimizer": "adam"}


def test_id_is_twelve_hexadecimal_digits_and_never_changes() -> None:
    # The ids stand in journals: a change here makes old runs impossible to resume.
    assert make_variant(SPACE, VALUES, seed=7).variant_id == "72a65c51cec0"
    assert re.fullmatch("[0-9a-f]{12}", make_variant(SPACE, VALUES, seed=8).variant_id)


@pytest.mark.parametrize(
    "same",
    [
        {"dropout": 1.0},
        {"filters": (16, 32)},
        {"filters": (16.0, 32.0)},
        {"momentum": 0.9},
        {"momentum": "nonsense"},
    ],
)
def test_id_is_the_same_for_equal_content(same: dict[str, object]) -> None:
    assert make_variant(SPACE, {**VALUES, **same}, seed=7) == make_variant(SPACE, VALUES, seed=7)


def test_steps_that_binary_arithmetic_missed_do_not_change_the_id() -> None:
    exact = make_variant(SPACE, {**VALUES, "optimizer": "sgd", "momentum": 0.3}, seed=7)
    missed = make_variant(SPACE, {**VALUES, "optimizer": "sgd", "momentum": 0.1 + 0.2}, seed=7)
    assert exact.variant_id == missed.variant_id


@pytest.mark.parametrize("other", [{"dropout": 0.5}, {"family": "residual"}, {"filters": [32, 64]}])
def test_id_differs_with_the_content(other: dict[str, object]) -> None:
    assert make_variant(SPACE, {**VALUES, **other}, seed=7) != make_variant(SPACE, VALUES, seed=7)


def test_id_does_not_depend_on_the_order_of_the_parameters() -> None:
    one = Variant(family="f", params={"a": 1, "b": 2}, seed=0)
    other = Variant(family="f", params={"b": 2, "a": 1}, seed=0)
    assert one.variant_id == other.variant_id
    assert len({one, other}) == 1


def test_id_differs_with_the_seed_and_the_type_of_a_value() -> None:
    variants = [Variant(family="f", params={"x": value}, seed=0) for value in (1, 1.0, True, "1", (1,), None)]
    variants.append(Variant(family="f", params={"x": 1}, seed=1))
    assert len({variant.variant_id for variant in variants}) == len(set(variants)) == 7


def test_variant_has_the_active_parameters_in_order_and_normal_form() -> None:
    variant = make_variant(SPACE, {"momentum": 0.1, **VALUES}, seed=7)
    assert list(variant.params.items()) == [("dropout", 1.0), ("filters", (16, 32)), ("optimizer", "adam")]
    assert isinstance(variant.params["dropout"], float)
    assert (variant.family, variant.seed) == ("sequential", 7)


def test_values_that_do_not_fit_the_space_make_no_variant() -> None:
    with pytest.raises(SpaceError) as caught:
        make_variant(SPACE, {"family": "sequentiel", "dropout": 2, "filters": [16, 32]}, seed=7)
    assert str(caught.value).splitlines() == [
        "variant.family: expected one of 'sequential', 'residual', got 'sequentiel'; did you mean 'sequential'?",
        "variant.params.dropout: expected a number from 0.0 to 1.0, got 2",
        "variant.params.optimizer: expected one of 'adam', 'sgd', got nothing; give a value to every active parameter",
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "variant: expected a mapping of family, params, seed, got None"),
        ({"family": "f", "params": {}}, "variant.seed: expected a value, got nothing"),
        (
            {"family": "f", "params": {}, "seed": 0, "sed": 1},
            "variant.sed: unknown key; known are family, params, seed; did you mean 'seed'?",
        ),
        ({"family": "", "params": {}, "seed": 0}, "variant.family: expected the name of a family, got ''"),
        ({"family": "f", "params": [], "seed": 0}, "variant.params: expected a mapping of names to values, got []"),
        (
            {"family": "f", "params": {"family": 1}, "seed": 0},
            "variant.params: expected the name of a parameter, got 'family'",
        ),
        (
            {"family": "f", "params": {"x": float("inf")}, "seed": 0},
            "variant.params.x: expected a finite number, got inf",
        ),
        ({"family": "f", "params": {}, "seed": -1}, "variant.seed: expected a whole number >= 0, got -1"),
        ({"family": "f", "params": {}, "seed": True}, "variant.seed: expected a whole number >= 0, got True"),
        ({"family": "f", "params": {}, "seed": 1.0}, "variant.seed: expected a whole number >= 0, got 1.0"),
    ],
)
def test_json_that_is_no_variant_is_refused(raw: object, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Variant.from_json(raw)
    assert str(caught.value) == message


def test_variant_keeps_its_own_copy_of_the_values() -> None:
    params: dict[str, object] = {"filters": 8}
    variant = Variant(family="f", params=params, seed=0)  # type: ignore[arg-type]
    params["filters"] = 16
    assert variant.params == {"filters": 8}


def test_variant_survives_pickling_and_copying() -> None:
    variant = make_variant(SPACE, VALUES, seed=7)
    assert pickle.loads(pickle.dumps(variant)) == variant
    assert copy.deepcopy(variant) == variant


def test_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(SpaceError("space: wrong\nspace.family: wrong")))
    assert str(error) == "space: wrong\nspace.family: wrong"
