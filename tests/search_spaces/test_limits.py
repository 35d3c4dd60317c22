"""The most that a variant may cost, as a study file says it."""

import pytest

from search_spaces import parse_space, space_from_mapping, space_to_mapping


def limited(limits, **section):
    return {"family": "sequential", **section, "limits": limits}


def test_limits_survive_the_way_to_a_mapping_and_back():
    space = space_from_mapping(limited({"parameters": 1e6, "memory_mb": 500}))
    assert space.limits == {"parameters": 1e6, "memory_mb": 500.0}
    assert space_from_mapping(space_to_mapping(space)) == space
    assert space != space_from_mapping({"family": "sequential"})


def test_a_space_without_limits_is_written_without_them():
    assert "limits" not in space_to_mapping(space_from_mapping("cnn-small"))


def test_a_built_in_space_can_be_limited():
    space = space_from_mapping({"base": "cnn-small", "limits": {"multiply_adds": 1e8}})
    assert space.limits == {"multiply_adds": 1e8}
    assert space.names == space_from_mapping("cnn-small").names


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (5, "space.limits: expected a mapping of parameters, multiply_adds, memory_mb to numbers, got 5"),
        (
            {"parameter": 5},
            "space.limits.parameter: unknown limit; known are parameters, multiply_adds, memory_mb; did",
        ),
        (
            {"parameters": "many"},
            "space.limits.parameters: expected a number > 0 of numbers that a model keeps, got 'man",
        ),
        (
            {"memory_mb": 0},
            "space.limits.memory_mb: expected a number > 0 of MB of a training step, an estimate, got 0",
        ),
        ({"memory_mb": True}, "got True"),
        ({"memory_mb": float("inf")}, "got inf"),
    ],
)
def test_wrong_limits_are_told_with_path_received_and_fix(limits, words):
    space, problems = parse_space(limited(limits))
    assert space is None
    assert words in " ".join(map(str, problems))
