"""Domains: what they contain, their one normal form, and the contradictions they refuse."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Choice, Domain, Fixed, Float, Int, SpaceError

HUGE = 10**400


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Int(2, 4), [2, 3, 4]),
        (Int(8, 30, step=8), [8, 16, 24]),
        (Int(5, 5), [5]),
        (Float(0, 0.5, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (Float(-0.3, 0.3, step=0.3), [-0.3, 0.0, 0.3]),
        (Float(0.1, 0.75, step=0.3), [0.1, 0.4, 0.7]),
        (Float(1e15, 1e15 + 1, step=0.3), [1e15, 1e15 + 0.25, 1e15 + 0.625, 1e15 + 0.875]),
        (Float(2, 2), [2.0]),
        (Choice(["b", 1, None, (1, 2)]), ["b", 1, None, (1, 2)]),
        (Fixed((16, 32)), [(16, 32)]),
    ],
)
def test_values_of_a_domain_are_listed_in_order(domain: Domain, values: list[object]) -> None:
    assert [repr(value) for value in domain.values()] == [repr(value) for value in values]
    assert domain.size == len(values)
    assert [domain.at(index) for index in range(len(values))] == values
    assert all(domain.contains(value) for value in values)


@pytest.mark.parametrize(
    ("domain", "given_value", "normal"),
    [
        (Float(0, 1), 1, 1.0),
        (Float(0, 1), -0.0, 0.0),
        (Float(0, 1), "1e-4", 0.0001),
        (Float(0, 0.3, step=0.1), 0.1 + 0.2, 0.3),
        (Int(1, 8), 4.0, 4),
        (Choice([1, 2]), 2.0, 2),
        (Choice([1, 1.0, True]), 1.0, 1.0),
        (Choice([1, 1.0, True]), True, True),
        (Choice([(16, 32), (32, 64)]), [32, 64], (32, 64)),
        (Choice([(16, 32)]), (16.0, 32), (16, 32)),
        (Fixed(0.5), 0.5, 0.5),
    ],
)
def test_normal_form_is_one_for_all_ways_to_write_a_value(domain: Domain, given_value: object, normal: object) -> None:
    assert domain.contains(given_value)
    assert repr(domain.normalise(given_value)) == repr(normal)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Float(0, 1), 1.01),
        (Float(0, 1), True),
        (Float(0, 1), "0.5"),
        (Float(0, 1), None),
        (Float(0, 1), float("nan")),
        (Float(0, 1), HUGE),
        (Float(0, 0.5, step=0.1), 0.15),
        (Float(0, 0.5, step=0.1), 0.6),
        (Float(0, 0.5, step=0.2), 0.5),
        (Int(1, 8), 1.5),
        (Int(0, 8), False),
        (Int(0, 8, step=2), 3),
        (Int(1, 8), HUGE),
        (Int(1, 8), [1]),
        (Choice([1, 2]), True),
        (Choice([True]), 1),
        (Choice([(1, 2.0), (1.0, 2)]), (1, 2)),
        (Choice(["a"]), object()),
        (Fixed(None), False),
        (Fixed((1, 2)), (1,)),
    ],
)
def test_value_outside_a_domain_is_refused(domain: Domain, value: object) -> None:
    assert not domain.contains(value)
    with pytest.raises(SpaceError):
        domain.normalise(value)


@pytest.mark.parametrize(
    ("domain", "value", "message"),
    [
        (Float(0, 0.5, step=0.1), 2, "expected a number from 0.0 to 0.5 in steps of 0.1, got 2"),
        (Int(2, 4), "three", "expected a whole number from 2 to 4, got 'three'"),
        (Choice(["adam", "sgd"]), "sdg", "expected one of 'adam', 'sgd', got 'sdg'; did you mean 'sgd'?"),
        (Fixed("adam"), 3, "expected 'adam', got 3"),
    ],
)
def test_refusal_says_what_is_expected_and_what_was_received(domain: Domain, value: object, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        domain.normalise(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(4, 2), "the low end must not exceed the high end, got [4, 2]; swap the ends"),
        (
            lambda: Float(0, 1, log=True),
            "the low end must be > 0 on a log scale, got 0; use a small positive number such as 1e-5, "
            "or drop log: true",
        ),
        (
            lambda: Int(-1, 1, log=True),
            "the low end must be > 0 on a log scale, got -1; use a small positive number such as 1, or drop log: true",
        ),
        (
            lambda: Float(1, 2, log=True, step=0.5),
            "log and step exclude each other, got log: true and step: 0.5; drop one of them",
        ),
        (lambda: Float(0, 1, step=0), "step must be > 0, got 0; use a positive step, or drop it"),
        (lambda: Int(0, 1, step=-1), "step must be > 0, got -1; use a positive step, or drop it"),
        (
            lambda: Int(2, 4, step=3),
            "step must not be larger than the range [2, 4], got 3; use a smaller step, or fixed for a single value",
        ),
        (
            lambda: Float(1e16, 2e16, step=1),
            "step is too small to tell the values apart, got 1; use a larger step",
        ),
        (lambda: Int(True, 4), "the low end must be a whole number, got True"),
        (lambda: Int(1, 4.5), "the high end must be a whole number, got 4.5"),  # type: ignore[arg-type]
        (lambda: Int(1, 4, step=0.5), "step must be a whole number, got 0.5"),  # type: ignore[arg-type]
        (lambda: Float(0, float("inf")), "the high end must be a finite number, got inf"),
        (lambda: Float(0, HUGE), f"the high end must be a finite number, got {HUGE}"),
        (
            lambda: Float("low", False),  # type: ignore[arg-type]
            "the low end must be a finite number, got 'low'\nthe high end must be a finite number, got False",
        ),
        (lambda: Float(0, 1, log="yes"), "log must be true or false, got 'yes'"),  # type: ignore[arg-type]
        (lambda: Choice([]), "expected at least one option, got []; name the values to choose from"),
        (lambda: Choice("relu"), "expected a list of options, got 'relu'; write [first, second]"),
        (
            lambda: Choice(["a", "b", "a", 0.0, -0.0]),
            "expected each option once, got 'a', 0.0 more than once; remove the repeats",
        ),
        (lambda: Choice([float("nan")]), "expected a finite number, got nan"),
        (
            lambda: Fixed([[1]]),  # type: ignore[arg-type]
            "expected text, a number, true, false, null or a flat list of these, got [1]",
        ),
    ],
)
def test_contradiction_is_an_error_that_says_how_to_fix_it(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message


def test_several_contradictions_are_told_at_once() -> None:
    with pytest.raises(SpaceError) as caught:
        Float(1, 0, log="on", step=0)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 2


def test_options_of_equal_value_and_different_type_are_different() -> None:
    assert Choice([1, True, 1.0]).size == 3
    assert Choice([1]) != Choice([True])
    assert Fixed(1) != Fixed(1.0)
    assert len({Fixed(1), Fixed(True), Fixed(1)}) == 2


def test_uncountable_float_has_no_values() -> None:
    assert Float(0, 1).size is None
    with pytest.raises(SpaceError, match=r"a number from 0\.0 to 1\.0 has no list of values; give it a step"):
        Float(0, 1).values()


@pytest.mark.parametrize("domain", [Int(1, 3), Float(0, 1, step=0.5), Choice(["a", "b", "c"])])
@pytest.mark.parametrize("index", [-1, 3])
def test_index_beyond_the_values_is_refused(domain: Domain, index: int) -> None:
    with pytest.raises(IndexError, match="index must be from 0 to 2"):
        domain.at(index)


def test_huge_ranges_are_counted_and_indexed_without_listing_them() -> None:
    assert Int(1, 10**30).size == 10**30
    assert Int(1, 10**30).at(10**29) == 10**29 + 1
    assert Float(0, 1e9, step=0.001).size == 10**12 + 1


decimals = st.decimals(min_value=-1000, max_value=1000, places=3).map(float)
stepped_floats = st.builds(
    lambda low, count, step, extra: Float(low, low + step * (count + extra), step=step),
    low=decimals,
    count=st.integers(1, 40),
    step=st.decimals(min_value="0.001", max_value=10, places=3).map(float),
    extra=st.floats(0.01, 0.9),
)
stepped_ints = st.builds(
    lambda low, span, step: Int(low, low + span, step=min(step, span)),
    low=st.integers(-(10**20), 10**20),
    span=st.integers(1, 60),
    step=st.integers(1, 20),
)


@given(st.one_of(stepped_floats, stepped_ints))
def test_domain_contains_each_of_its_values_unchanged(domain: Domain) -> None:
    values = domain.values()
    assert len(values) == len(set(values)) == domain.size
    assert values == sorted(values)  # type: ignore[type-var]
    for value in values:
        assert domain.contains(value)
        assert domain.normalise(value) == value


@given(stepped_floats, st.data())
def test_stepped_float_takes_values_computed_in_binary_arithmetic(domain: Float, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(domain.values()) - 1))
    assert domain.step is not None
    assert domain.normalise(domain.low + index * domain.step) == domain.at(index)


@given(stepped_floats, st.data(), st.floats(-2e-6, 2e-6))
def test_normal_form_is_a_value_of_the_domain(domain: Float, data: st.DataObject, share_of_step: float) -> None:
    values = domain.values()
    assert domain.step is not None
    number = data.draw(st.sampled_from(values)) + share_of_step * domain.step
    if domain.contains(number):
        assert domain.normalise(number) in values
    else:
        assert abs(share_of_step) > 0.9e-6
