"""Laws that hold for every search space."""

import json

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from search_spaces import (
    Choice,
    Domain,
    Fixed,
    Float,
    Int,
    Parameter,
    SearchSpace,
    Value,
    Variant,
    make_variant,
    space_from_mapping,
    space_to_mapping,
)
from search_spaces.domains.values import canonical, identity

LARGEST_GRID = 3000

texts = st.sampled_from(["adam", "sgd", "yes", "null", "1", "1e-4x", "é: [", ""])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 0.5, 1.0, 1e-7]), texts)
values = st.one_of(scalars, st.lists(scalars, max_size=2).map(tuple))
countable: st.SearchStrategy[Domain] = st.one_of(
    st.builds(lambda low, span: Int(low, low + span), st.integers(-2, 2), st.integers(0, 2)),
    st.builds(lambda count: Float(0, round(count * 0.1, 1), step=0.1), st.integers(1, 3)),
    st.lists(values, min_size=1, max_size=3, unique_by=lambda value: identity(canonical(value))).map(Choice),
    values.map(Fixed),
)
uncountable: st.SearchStrategy[Domain] = st.sampled_from([Float(1e-5, 0.1, log=True), Float(0, 1), Float(-1, 2)])


@st.composite
def spaces(draw: st.DrawFn, domains: st.SearchStrategy[Domain]) -> SearchSpace:
    """Draws a space of up to six parameters with nested conditions, declared in any order."""
    families: st.SearchStrategy[Domain] = st.sampled_from([Fixed("a"), Choice(["a", "b"])])
    family = Parameter(name="family", domain=draw(families))
    parameters = [family]
    for index in range(draw(st.integers(0, 5))):
        parents = draw(st.lists(st.sampled_from(parameters), max_size=2, unique_by=lambda p: p.name))
        when: dict[str, tuple[Value, ...]] = {}
        for parent in parents:
            if parent.domain.size is not None:
                options = st.sampled_from(parent.domain.values())
                when[parent.name] = tuple(draw(st.lists(options, min_size=1, max_size=3)))
        parameters.append(Parameter(name=f"p{index}", domain=draw(domains), when=when))
    return SearchSpace([family, *draw(st.permutations(parameters[1:]))])


any_spaces = spaces(st.one_of(countable, uncountable))


def small(space: SearchSpace) -> SearchSpace:
    assume((space.size or 0) <= LARGEST_GRID)
    return space


@settings(suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
@given(spaces(countable))
def test_grid_has_exactly_size_distinct_variants(space: SearchSpace) -> None:
    found = [make_variant(small(space), values, seed=0).variant_id for values in space.grid()]
    assert len(found) == len(set(found)) == space.size


@settings(deadline=None)
@given(spaces(countable))
def test_grid_values_are_valid_active_and_always_in_the_same_order(space: SearchSpace) -> None:
    listed = list(small(space).grid())
    assert listed == list(space.grid())
    for values in listed:
        assert space.validate(values) == []
        assert space.active(values) == values


@settings(deadline=None)
@given(spaces(countable), st.data())
def test_inactive_parameters_never_change_the_id(space: SearchSpace, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(list(small(space).grid())))
    inactive = {
        parameter.name: data.draw(st.sampled_from([*parameter.domain.values(), "nonsense", object()]))
        for parameter in space.parameters
        if parameter.name not in chosen
    }
    assert space.validate({**inactive, **chosen}) == []
    expected = make_variant(space, chosen, seed=3)
    assert make_variant(space, {**inactive, **chosen}, seed=3).variant_id == expected.variant_id


@settings(deadline=None)
@given(spaces(countable), st.data())
def test_active_is_idempotent_on_any_values(space: SearchSpace, data: st.DataObject) -> None:
    chosen = {
        parameter.name: data.draw(st.sampled_from([*parameter.domain.values(), "nonsense"]))
        for parameter in space.parameters
        if data.draw(st.booleans())
    }
    once = space.active(chosen)
    assert space.active(once) == once
    assert once.items() <= chosen.items()
    assert [name for name in space.names if name in once] == list(once)


@settings(deadline=None)
@given(spaces(countable), st.data())
def test_id_does_not_depend_on_order_and_survives_json(space: SearchSpace, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(list(small(space).grid())))
    variant = make_variant(space, chosen, seed=11)
    shuffled = dict(data.draw(st.permutations(list(chosen.items()))))
    assert make_variant(space, shuffled, seed=11).variant_id == variant.variant_id
    restored = Variant.from_json(json.loads(json.dumps(variant.to_json())))
    assert restored.variant_id == variant.variant_id
    assert restored == variant


@settings(deadline=None)
@given(any_spaces)
def test_writing_a_space_and_reading_it_gives_the_same_space(space: SearchSpace) -> None:
    section = space_to_mapping(space)
    assert space_from_mapping(section) == space
    assert space_from_mapping(json.loads(json.dumps(section))) == space
    assert space_from_mapping(yaml.safe_load(yaml.safe_dump(section, sort_keys=False))) == space


@settings(deadline=None)
@given(any_spaces)
def test_space_is_uncountable_exactly_when_a_parameter_is(space: SearchSpace) -> None:
    has_uncountable = any(parameter.domain.size is None for parameter in space.parameters)
    assert (space.size is None) == has_uncountable
