"""SearchSpace: conditions, exact size, the grid, and what keeps values from being a variant."""

import copy
import pickle
from collections.abc import Mapping

import pytest

from search_spaces import Choice, Fixed, Float, Int, Parameter, SearchSpace, SpaceError, space_from_mapping

NESTED = space_from_mapping(
    {
        "family": {"choice": ["sequential", "residual"]},
        "params": {
            "nesterov": {"choice": [True, False], "when": {"momentum": [0.8, 0.9]}},
            "momentum": {"float": [0, 0.9], "step": 0.1, "when": {"optimizer": "sgd"}},
            "optimizer": {"choice": ["adam", "sgd"]},
            "num_blocks": {"int": [1, 3], "when": {"family": "sequential"}},
            "kernel_size": {"choice": [3, 5], "when": {"family": "sequential", "optimizer": "sgd"}},
        },
    }
)


def space(**params: object) -> SearchSpace:
    return space_from_mapping({"family": "sequential", "params": params})


def test_parents_stand_before_children_and_else_the_order_of_the_file_holds() -> None:
    assert NESTED.names == ("family", "optimizer", "momentum", "nesterov", "num_blocks", "kernel_size")
    assert space(b=1, a=2, c=3).names == ("family", "b", "a", "c")


def test_size_is_exact_with_nested_conditions() -> None:
    # By hand: sgd has 10 momenta, 2 of them with 2 more choices: 12. sequential: 3 blocks, with sgd 2 kernel sizes.
    residual = 1 + 12
    sequential = 3 * (1 + 12 * 2)
    assert NESTED.size == residual + sequential
    assert len(list(NESTED.grid())) == NESTED.size


def test_huge_space_is_counted_without_listing_it() -> None:
    billions = space(**{f"p{i}": {"int": [1, 1000]} for i in range(30)})
    assert billions.size == 1000**30
    chain: dict[str, object] = {"p0": {"int": [1, 10**9]}}
    for i in range(1, 40):
        chain[f"p{i}"] = {"int": [1, 10**9], "when": {f"p{i - 1}": 1}}
    expected = 10**9
    for _ in range(39):
        expected = 10**9 - 1 + expected
    assert space(**chain).size == expected


def test_many_conditions_on_one_parent_are_counted_fast() -> None:
    params: dict[str, object] = {"switch": {"choice": ["on", "off"]}}
    params |= {f"a{i}": {"choice": [1, 2], "when": {"switch": "on"}} for i in range(40)}
    params |= {f"b{i}": {"choice": [1, 2], "when": {f"a{i}": 1}} for i in range(40)}
    assert space(**params).size == 3**40 + 1


def test_overlapping_conditions_are_counted_fast() -> None:
    params: dict[str, object] = {f"p{i}": {"choice": [0, 1]} for i in range(60)}
    params |= {f"c{i}": {"choice": [0, 1], "when": {f"p{i}": 1, f"p{i + 1}": 1}} for i in range(59)}
    # Assignments that end in p = 0 and in p = 1: one more 1 after a 1 also opens a choice of two.
    ends_in_zero, ends_in_one = 1, 1
    for _ in range(59):
        ends_in_zero, ends_in_one = ends_in_zero + ends_in_one, ends_in_zero + 2 * ends_in_one
    assert space(**params).size == ends_in_zero + ends_in_one


def test_layers_of_shared_parents_are_resolved_fast() -> None:
    params: dict[str, object] = {"l0a": {"choice": [0, 1]}, "l0b": {"choice": [0, 1]}}
    for i in range(1, 12):
        condition = {f"l{i - 1}a": 1, f"l{i - 1}b": 1}
        params |= {f"l{i}{side}": {"choice": [0, 1], "when": condition} for side in "ab"}
    layered = space(**params)
    assert layered.size == 3 * 12 + 1
    everything = dict.fromkeys(layered.names, 1) | {"family": "sequential"}
    assert layered.validate(everything) == []
    assert list(layered.active(everything)) == list(layered.names)


def test_grid_is_lazy_and_the_last_parameter_changes_fastest() -> None:
    grid = space(a={"int": [1, 10**9]}, b={"choice": ["x", "y"]}).grid()
    assert [tuple(next(grid).values()) for _ in range(3)] == [
        ("sequential", 1, "x"),
        ("sequential", 1, "y"),
        ("sequential", 2, "x"),
    ]


def test_uncountable_space_has_no_grid_and_the_error_names_each_reason() -> None:
    uncountable = space(rate={"float": [1e-4, 0.1], "log": True}, units=4, decay={"float": [0, 1]})
    assert uncountable.size is None
    with pytest.raises(SpaceError) as caught:
        uncountable.grid()
    assert str(caught.value).splitlines() == [
        "space.params.rate: a number from 0.0001 to 0.1 has no grid; add a step, or list the values with choice",
        "space.params.decay: a number from 0.0 to 1.0 has no grid; add a step, or list the values with choice",
    ]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"family": "residual", "optimizer": "adam", "momentum": 0.9, "nesterov": True}, ["family", "optimizer"]),
        ({"nesterov": True, "momentum": 0.8, "optimizer": "sgd"}, ["optimizer", "momentum", "nesterov"]),
        ({"nesterov": True, "momentum": 0.1, "optimizer": "sgd"}, ["optimizer", "momentum"]),
        ({"nesterov": True, "momentum": 0.9}, []),
        ({"family": "sequential", "kernel_size": 3, "optimizer": "adam"}, ["family", "optimizer"]),
        ({"optimizer": "lion", "momentum": 0.9, "unknown": 1}, ["optimizer"]),
    ],
)
def test_active_keeps_what_its_parents_allow_in_order(values: Mapping[str, object], names: list[str]) -> None:
    assert list(NESTED.active(values)) == names


def test_child_of_an_inactive_parent_is_inactive() -> None:
    values = {"family": "residual", "optimizer": "adam", "momentum": 0.9}
    assert not NESTED.is_active("momentum", values)
    assert not NESTED.is_active("nesterov", values)
    assert NESTED.is_active("nesterov", values | {"optimizer": "sgd"})


def test_asking_for_an_unknown_parameter_suggests_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"no parameter is called 'momentun'; known are .*; did you mean 'momentum'\?"):
        NESTED.parameter("momentun")


def test_validate_tells_all_problems_at_once() -> None:
    problems = NESTED.validate({"family": "sequential", "optimizer": "sgd", "num_blocks": 9, "kernel_siz": 3})
    assert [str(problem) for problem in problems] == [
        "variant.params.kernel_siz: no parameter has this name; did you mean 'kernel_size'?",
        "variant.params.momentum: expected a number from 0.0 to 0.9 in steps of 0.1, got nothing; "
        "give a value to every active parameter",
        "variant.params.num_blocks: expected a whole number from 1 to 3, got 9",
        "variant.params.kernel_size: expected one of 3, 5, got nothing; give a value to every active parameter",
    ]


def test_validate_ignores_values_of_inactive_parameters() -> None:
    assert NESTED.validate({"family": "residual", "optimizer": "adam", "momentum": "nonsense", "num_blocks": 99}) == []


FAMILY = Parameter(name="family", domain=Fixed("sequential"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "space: the first parameter must be 'family', got no parameters; put it first"),
        (
            [Parameter(name="filters", domain=Fixed(8)), FAMILY],
            "space: the first parameter must be 'family', got 'filters'; put it first",
        ),
        (
            [Parameter(name="family", domain=Int(1, 2))],
            "space.family: expected the name of a family or a choice of names, got a whole number from 1 to 2; "
            "write family: sequential",
        ),
        (
            [FAMILY, Parameter(name="a", domain=Fixed(1)), Parameter(name="a", domain=Fixed(2))],
            "space.params.a: a parameter must be given once, got it twice or more; remove the repeats",
        ),
        (
            [FAMILY, Parameter(name="a.b", domain=Fixed(1))],
            "space.params: a parameter's name must be letters, digits and underscores, got 'a.b'",
        ),
        (
            [Parameter(name="family", domain=Fixed("x"), when={"a": (1,)}), Parameter(name="a", domain=Fixed(1))],
            "space.family.when: the family is always active, got {'a': (1,)}; drop the condition",
        ),
    ],
)
def test_parameters_that_make_no_space_are_refused(parameters: list[Parameter], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(parameters)
    assert str(caught.value) == message


def test_values_in_conditions_take_the_form_of_the_parent() -> None:
    conditional = space(a={"float": [0, 1], "step": 0.5}, b={"fixed": 3, "when": {"a": [1, 1.0, 0]}})
    assert repr(conditional.parameter("b").when) == "{'a': (1.0, 0.0)}"


def test_conditions_on_equal_values_of_different_types_differ() -> None:
    params = {"a": {"choice": [1, True, 2]}}
    on_one = space(**params, b={"fixed": 3, "when": {"a": 1}})
    on_true = space(**params, b={"fixed": 3, "when": {"a": True}})
    assert on_one != on_true
    assert on_one.size == on_true.size == 3
    assert "b" in on_one.active({"family": "sequential", "a": 1, "b": 3})
    assert "b" not in on_one.active({"family": "sequential", "a": True, "b": 3})


def test_space_survives_pickling_and_copying() -> None:
    assert pickle.loads(pickle.dumps(NESTED)) == NESTED
    assert copy.deepcopy(NESTED) == NESTED
    assert hash(copy.deepcopy(NESTED)) == hash(NESTED)


def test_families_are_the_names_the_family_can_have() -> None:
    assert NESTED.families == ("sequential", "residual")
    assert space().families == ("sequential",)
    assert SearchSpace([Parameter(name="family", domain=Choice(["a"]))]).families == ("a",)


def test_float_parent_activates_only_at_the_named_value() -> None:
    conditional = SearchSpace(
        [
            FAMILY,
            Parameter(name="dropout", domain=Float(0, 1)),
            Parameter(name="rescale", domain=Choice([True, False]), when={"dropout": (0.5,)}),
        ]
    )
    assert conditional.size is None
    assert conditional.is_active("rescale", {"dropout": 0.5})
    assert not conditional.is_active("rescale", {"dropout": 0.4})
