"""What the parameters of families and of training may be, and what is said of values that they may not."""

from dataclasses import replace

import pytest

from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING


@pytest.mark.parametrize(
    ("owner", "name", "info"),
    [
        (owner, name, info)
        for owner, parameters in [*((name, family.parameters) for name, family in FAMILIES.items()), ("all", TRAINING)]
        for name, info in parameters.items()
    ],
)
def test_every_default_is_allowed_and_every_parameter_explained(owner, name, info):
    # Text without a default must be given, as loading a study sees to.
    is_demanded = info.kind is str and info.default == ""
    assert is_demanded or info.problem(info.default) == "", f"{owner}.{name}"
    assert info.summary.endswith(".")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_no_name_means_both_an_architecture_and_a_training_parameter(family):
    # Where a family's parameter has a training parameter's name, it allows more of the same, or says what replaces it.
    for name in family.parameters.keys() & TRAINING.keys():
        own, training = family.parameters[name], TRAINING[name]
        assert set(own.options) > set(training.options) or replace(own, replaced_by="") == training


COMPLAINTS = [
    ("dense_units", -1, "must be an int >= 0 and <= 65536, got -1"),
    ("dense_units", 70000, "must be an int >= 0 and <= 65536, got 70000"),
    ("dense_units", 8.0, "must be an int >= 0 and <= 65536, got 8.0"),
    ("dense_units", True, "must be an int >= 0 and <= 65536, got True"),
    ("dense_units", (8, 8), "must be an int >= 0 and <= 65536, got [8, 8]"),
    ("filters", 0, "must be an int >= 1 and <= 4096, or a list of these, one a block, got 0"),
    ("filters", (8, 5000), "must be an int >= 1 and <= 4096, or a list of these, one a block, got [8, 5000]"),
    ("filters", (8, True), "must be an int >= 1 and <= 4096, or a list of these, one a block, got [8, True]"),
    ("filters", (), "must be an int >= 1 and <= 4096, or a list of these, one a block, got []"),
    ("kernel_size", 16, "must be an int >= 1 and <= 15, or a list of these, one a block, got 16"),
    ("l2", -0.1, "must be a float >= 0, got -0.1"),
    ("head", "average", "must be one of 'flatten', 'global_average', 'global_max', got 'average'"),
    ("dropout", 1.0, "must be a float >= 0 and < 1, got 1.0"),
    ("dropout", float("nan"), "must be a float >= 0 and < 1, got nan"),
    ("batch_norm", 1, "must be a bool, got 1"),
    ("padding", "full", "must be one of 'same', 'valid', got 'full'"),
]


@pytest.mark.parametrize(("name", "value", "words"), COMPLAINTS)
def test_a_value_that_is_not_allowed_is_complained_about(name, value, words):
    assert FAMILIES["sequential"].parameters[name].problem(value) == words


@pytest.mark.parametrize(
    ("family", "name", "value", "words"),
    [
        ("functional", "branch_kernels", 3, "must be a list of ints >= 1 and <= 15, got 3"),
        ("functional", "branch_kernels", (3, 17), "must be a list of ints >= 1 and <= 15, got [3, 17]"),
        ("residual", "filters", (8, 16), "must be an int >= 1 and <= 4096, got [8, 16]"),
        ("residual", "preset", "resnet18", "must be one of 'none', 'resnet20', 'resnet32', 'resnet56', got 'resnet18'"),
    ],
)
def test_a_value_that_another_family_would_allow_is_complained_about(family, name, value, words):
    assert FAMILIES[family].parameters[name].problem(value) == words


@pytest.mark.parametrize(("family", "name"), [("sequential", "filters"), ("functional", "branch_kernels")])
def test_a_list_is_welcome_where_the_parameter_says_so_and_becomes_a_tuple(family, name):
    info = FAMILIES[family].parameters[name]
    assert info.problem([8, 4]) == info.problem((8, 4)) == ""
    assert FAMILIES[family].with_defaults({name: [8, 4]})[name] == (8, 4)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_takes_a_parameters_place_is_a_parameter_of_the_same_family(family):
    replacing = {info.replaced_by for info in family.parameters.values()} - {""}
    assert replacing <= family.parameters.keys()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_whole_number_where_a_float_is_meant_becomes_that_float(family):
    params = family.with_defaults({"learning_rate": 1, "momentum": 0, "dropout": 0})
    # A dropout of the family `custom` is the user's own, as all that describes an optimizer is where the model has it.
    names = [
        name
        for name in ("learning_rate", "momentum", "dropout")
        if name in TRAINING | family.parameters and name not in family.hands_over
    ]
    assert [type(params[name]) for name in names] == [float] * len(names)
    expected = (0.001, 0.9) if family.finds_parameters else (1.0, 0.0)
    assert (params["learning_rate"], params["momentum"]) == expected
