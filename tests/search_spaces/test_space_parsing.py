"""The space section of a study file: what it may say, and what it is told when it says something else."""

import pytest
import yaml

from search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Parameter,
    SearchSpace,
    SpaceError,
    parse_space,
    space_from_mapping,
    space_to_mapping,
)

EVERYTHING = """
family: {choice: [sequential, residual]}
params:
  num_blocks: {int: [2, 4]}
  units: {int: [8, 64], log: true}
  learning_rate: {float: [1e-4, 1e-1], log: true}
  dropout: {float: [0, 0.5], step: 0.1}
  filters: {choice: [[16, 32], [32, 64]]}
  weight_decay: 1e-4
  kernel_sizes: [3, 5]
  pooling: {fixed: none, when: {family: sequential}}
  growth: {choice: [1.5, 2], when: {family: [sequential, residual], filters: [16, 32]}}
  skip: {choice: [true, false], when: {filters: [[16, 32], [32, 64]]}}
"""

BUILT_IN = (
    "cnn-deep, cnn-small, inception-small, multitask-small, resnet-cifar, resnet-small, supervised-small, "
    "transfer-small, unet-small"
)


def problems_of(section: object) -> list[str]:
    space, problems = parse_space(yaml.safe_load(section) if isinstance(section, str) else section)
    assert space is None
    return [str(problem) for problem in problems]


def test_every_form_of_the_syntax_is_read() -> None:
    space = space_from_mapping(yaml.safe_load(EVERYTHING))
    assert {parameter.name: parameter.domain for parameter in space.parameters} == {
        "family": Choice(["sequential", "residual"]),
        "num_blocks": Int(2, 4),
        "units": Int(8, 64, log=True),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "dropout": Float(0, 0.5, step=0.1),
        "filters": Choice([(16, 32), (32, 64)]),
        "weight_decay": Fixed(0.0001),
        "kernel_sizes": Fixed((3, 5)),
        "pooling": Fixed("none"),
        "growth": Choice([1.5, 2]),
        "skip": Choice([True, False]),
    }
    assert space.parameter("pooling").when == {"family": ("sequential",)}
    assert space.parameter("growth").when == {"family": ("sequential", "residual"), "filters": ((16, 32),)}
    assert space.parameter("skip").when == {"filters": ((16, 32), (32, 64))}


def test_space_without_parameters_is_a_space() -> None:
    assert space_from_mapping({"family": "custom"}).names == ("family",)
    assert space_from_mapping({"family": "custom", "params": None}).size == 1


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "{float: [0, 0.1], log: true}",
            "x.float: the low end must be > 0 on a log scale, got 0; use a small positive number such as 1e-5, "
            "or drop log: true",
        ),
        ("{int: 5}", "x.int: expected two ends [low, high], got 5; to list single values write choice"),
        ("{int: [1, 2, 3]}", "x.int: expected two ends [low, high], got [1, 2, 3]; to list single values write choice"),
        ("{int: [1, two]}", "x.int: the high end must be a whole number, got 'two'"),
        ("{choice: relu}", "x.choice: expected a list of options, got 'relu'; write [first, second]"),
        ("{choice: [a, a]}", "x.choice: expected each option once, got 'a' more than once; remove the repeats"),
        (
            "{choise: [1, 2]}",
            "x.choise: unknown key; known are int, float, choice, fixed, log, step, when; did you mean 'choice'?",
        ),
        (
            "{float: [1, 2], lgo: true}",
            "x.lgo: unknown key; known are int, float, choice, fixed, log, step, when; did you mean 'log'?",
        ),
        ("{choice: [1], log: true}", "x.log: log is for int and float, not for choice; drop it"),
        ("{fixed: 1, step: 2}", "x.step: step is for int and float, not for fixed; drop it"),
        (
            "{int: [1, 2], choice: [1]}",
            "x: expected exactly one of int, float, choice, fixed, got int and choice; write for example {int: [2, 4]}",
        ),
        ("{}", "x: expected exactly one of int, float, choice, fixed, got {}; write for example {int: [2, 4]}"),
        (
            "2020-01-01",
            "x: expected text, a number, true, false, null or a flat list of these, got datetime.date(2020, 1, 1)",
        ),
        (
            "{fixed: 1, when: sgd}",
            "x.when: expected a mapping of another parameter to its values, got 'sgd'; write {optimizer: sgd}",
        ),
        (
            "{fixed: 1, when: {optimiser: sgd}}",
            "x.when.optimiser: no parameter is called 'optimiser'; name one of this space; did you mean 'optimizer'?",
        ),
        (
            "{fixed: 1, when: {optimizer: sdg}}",
            "x.when.optimizer: expected a value that optimizer can have (one of 'adam', 'sgd'), got 'sdg'; "
            "correct it, or drop the condition",
        ),
        (
            "{fixed: 1, when: {optimizer: []}}",
            "x.when.optimizer: expected at least one value of optimizer, got []; name the values, "
            "or drop the condition",
        ),
        (
            "{fixed: 1, when: {optimizer: {is: sgd}}}",
            "x.when.optimizer: expected text, a number, true, false, null or a flat list of these, got {'is': 'sgd'}",
        ),
        (
            "{choice: [1, 2], when: {x: 1}}",
            "x.when.x: a parameter cannot depend on itself, got 'x'; name another parameter",
        ),
        ("{int: [1, 2], when: {broken: 1}}\n  broken: {int: [2, 1]}", "broken.int: the low end must not exceed"),
    ],
)
def test_wrong_entry_is_told_with_path_received_and_fix(entry: str, problem: str) -> None:
    section = f"family: sequential\nparams:\n  optimizer: {{choice: [adam, sgd]}}\n  x: {entry}\n"
    found = problems_of(section)
    assert len(found) == 1
    assert found[0].startswith(f"space.params.{problem}")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "[1]",
            f"space: expected a built-in space ({BUILT_IN}) or a mapping of base, family, params, limits, got [1]",
        ),
        (
            "null",
            f"space: expected a built-in space ({BUILT_IN}) or a mapping of base",
        ),
        (
            "cnn-smal",
            f"space: no built-in space is called 'cnn-smal'; there are {BUILT_IN}; did you mean 'cnn-small'?",
        ),
        (
            "{base: 5}",
            f"space.base: no built-in space is called 5; there are {BUILT_IN}",
        ),
        ("{params: {}}", "space.family: expected the name of a family, got nothing; write family: sequential"),
        (
            "{family: [a, b]}",
            "space.family: expected the name of a family or a choice of names, got ('a', 'b'); "
            "write family: sequential",
        ),
        ("{family: {choice: [a, 1]}}", "space.family: expected the name of a family or a choice of names, got one of"),
        (
            "{family: {choice: [a], when: {x: 1}}}",
            "space.family.when: the family is always active, got {'x': 1}; drop the condition",
        ),
        (
            "{family: a, parms: {}}",
            "space.parms: unknown key; known are base, family, params, limits; did you mean 'params'?",
        ),
        ("{family: a, params: [1]}", "space.params: expected a mapping of parameter names to domains, got [1]"),
        (
            "{family: a, params: {family: b}}",
            "space.params.family: the family stands beside params, not in it; write it one level higher",
        ),
        (
            "{family: a, params: {on: 1}}",
            "space.params: a parameter's name must be letters, digits and underscores, got True; "
            "YAML reads on, off, yes and no as true or false, so quote them",
        ),
    ],
)
def test_wrong_section_is_told_with_path_received_and_fix(section: str, problem: str) -> None:
    found = problems_of(section)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_conditions_in_a_circle_are_told_once() -> None:
    section = {
        "family": "a",
        "params": {
            "p": {"choice": [1], "when": {"q": 1}},
            "q": {"choice": [1], "when": {"r": 1}},
            "r": {"choice": [1], "when": {"p": 1}},
            "s": {"choice": [1], "when": {"p": 1}},
        },
    }
    assert problems_of(section) == [
        "space.params.p.when: the conditions go in a circle, p -> q -> r -> p; remove one of them"
    ]


def test_all_problems_of_a_space_are_told_at_once() -> None:
    section = """
    famly: sequential
    params:
      a: {int: [4, 2]}
      b: {float: [0, 1], log: true, step: 0.5}
      c: {choice: []}
      d: {fixed: 1, when: {e: 1}}
    """
    paths = [problem.split(":")[0] for problem in problems_of(section)]
    assert paths == [
        "space.famly",
        "space.params.a.int",
        "space.params.b.float",
        "space.params.b.float",
        "space.params.c.choice",
        "space.family",
        "space.params.d.when.e",
    ]
    with pytest.raises(SpaceError) as caught:
        space_from_mapping(yaml.safe_load(section))
    assert str(caught.value).splitlines() == problems_of(section)


def test_path_given_by_the_caller_leads_every_problem() -> None:
    _, problems = parse_space({"params": {"a": {"int": 1}}}, path="studies[0].space")
    assert [problem.path for problem in problems] == ["studies[0].space.params.a.int", "studies[0].space.family"]


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    section = yaml.safe_load("{family: a, params: {x: {float: [1e-4, 1E+2]}, y: {int: [1, 1e3]}, z: {choice: [1e-3]}}}")
    assert section["params"]["x"] == {"float": ["1e-4", "1E+2"]}
    space = space_from_mapping(section)
    assert [parameter.domain for parameter in space.parameters[1:]] == [Float(1e-4, 100), Int(1, 1000), Choice([1e-3])]


def test_list_that_is_a_value_of_the_parent_is_one_value() -> None:
    params = {"a": {"choice": [1, 2, [1, 2]]}, "b": {"fixed": 0, "when": {"a": [1, 2]}}}
    space = space_from_mapping({"family": "f", "params": params})
    assert space.parameter("b").when == {"a": ((1, 2),)}
    any_of = space_from_mapping({"family": "f", "params": params | {"b": {"fixed": 0, "when": {"a": [2, 1]}}}})
    assert any_of.parameter("b").when == {"a": (2, 1)}


def test_any_of_that_reads_like_a_value_of_the_parent_is_written_so_that_it_is_not_one() -> None:
    any_of = SearchSpace(
        [
            Parameter(name="family", domain=Fixed("f")),
            Parameter(name="a", domain=Choice([1, 2, (1, 2)])),
            Parameter(name="b", domain=Fixed(0), when={"a": (1, 2)}),
        ]
    )
    assert space_from_mapping(space_to_mapping(any_of)) == any_of


def test_base_is_changed_and_extended() -> None:
    base = space_from_mapping("cnn-small")
    changed = space_from_mapping(
        {"base": "cnn-small", "family": {"choice": ["sequential", "other"]}, "params": {"filters": 24, "extra": 1}}
    )
    assert changed.families == ("sequential", "other")
    assert changed.parameter("filters").domain == Fixed(24)
    assert set(changed.names) == {*base.names, "extra"}
    assert changed.parameter("dense_units") == base.parameter("dense_units")
    assert space_from_mapping({"base": "cnn-small"}) == base


def test_changed_parameter_keeps_the_condition_of_the_base_unless_it_has_its_own() -> None:
    def momentum(entry: object) -> object:
        return space_from_mapping({"base": "cnn-deep", "params": {"momentum": entry}}).parameter("momentum").when

    assert momentum(0.9) == {"optimizer": ("sgd",)}
    assert momentum({"choice": [0.8, 0.9]}) == {"optimizer": ("sgd",)}
    assert momentum({"fixed": 0.9, "when": {}}) == {}
    assert momentum({"fixed": 0.9, "when": {"pooling": "max"}}) == {"pooling": ("max",)}


def test_parameters_of_the_base_that_can_no_longer_be_active_are_dropped() -> None:
    assert "momentum" not in space_from_mapping({"base": "cnn-deep", "params": {"optimizer": "adam"}}).names
    assert "momentum" in space_from_mapping({"base": "cnn-deep", "params": {"optimizer": "sgd"}}).names


def test_own_parameter_that_the_condition_of_the_base_never_activates_is_a_problem() -> None:
    assert problems_of({"base": "cnn-deep", "params": {"optimizer": "adam", "momentum": 0.9}}) == [
        "space.params.momentum.when.optimizer: expected a value that optimizer can have ('adam'), got 'sgd'; "
        "correct it, or drop the condition (it comes from the base; when: {} drops it)"
    ]


def test_reading_does_not_change_what_was_given() -> None:
    section = {"base": "cnn-deep", "params": {"momentum": {"choice": [0.8, 0.9]}}}
    space_from_mapping(section)
    assert section == {"base": "cnn-deep", "params": {"momentum": {"choice": [0.8, 0.9]}}}


def test_written_section_is_what_a_person_would_write() -> None:
    section = yaml.safe_load(EVERYTHING)
    written = space_to_mapping(space_from_mapping(section))
    section["params"]["weight_decay"] = 0.0001
    section["params"]["learning_rate"]["float"] = [0.0001, 0.1]
    assert written == section
