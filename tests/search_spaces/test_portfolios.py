"""Variants to try first: each is one of its space, and of spaces that were narrowed only what fits."""

from importlib import resources

import pytest
import yaml

from search_spaces import builtin_names, portfolio_of, space_from_mapping, space_to_mapping

FILES = sorted(
    path.name.removesuffix(".yaml")
    for path in resources.files("search_spaces.portfolios").iterdir()
    if path.name.endswith(".yaml")
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("num_train", [10, 999, 1000, 10**8])
def test_a_portfolio_holds_variants_of_its_space(name, num_train):
    assert name in builtin_names()
    space = space_from_mapping(name)
    found = portfolio_of(space, num_train=num_train)
    sizes = yaml.safe_load(resources.files("search_spaces.portfolios").joinpath(f"{name}.yaml").read_text("utf-8"))
    entries = next((size["variants"] for size in sizes if num_train < size["below"]), [])
    assert len(found) == len(entries)
    assert len(entries) >= 2 or num_train >= sizes[-1]["below"]
    for values, entry in zip(found, entries, strict=True):
        assert space.validate(values) == []
        assert entry.items() <= values.items()


def test_sizes_have_portfolios_of_their_own():
    space = space_from_mapping("cnn-small")
    assert portfolio_of(space, num_train=999) != portfolio_of(space, num_train=1000)


def test_more_images_than_a_portfolio_was_found_on_have_none():
    space = space_from_mapping("supervised-small")
    assert [len(portfolio_of(space, num_train=count)) for count in (10, 999, 1000)] == [2, 2, 0]


def test_a_narrowed_space_has_the_nearest_of_its_numbers_and_none_of_other_options():
    params = {"filters": {"int": [20, 24]}, "learning_rate": {"float": [0.001, 0.002]}, "head": {"choice": ["flatten"]}}
    space = space_from_mapping({"base": "cnn-small", "params": params})
    [values] = portfolio_of(space, num_train=100)
    assert (values["filters"], values["learning_rate"], values["head"]) == (24, 0.0014, "flatten")
    params = {"filters": {"int": [20, 24]}, "dropout": {"float": [0.0, 0.4], "step": 0.2}}
    found = portfolio_of(space_from_mapping({"base": "cnn-small", "params": params}), num_train=100)
    assert [(values["filters"], values["dropout"]) for values in found] == [(20, 0.4), (24, 0.0), (20, 0.2)]
    params = {"head": {"choice": ["global_average"]}}
    assert portfolio_of(space_from_mapping({"base": "cnn-small", "params": params}), num_train=100) == []


def test_variants_that_become_equal_come_once():
    params = {
        "filters": 16,
        "dropout": 0.1,
        "dense_units": 0,
        "learning_rate": 0.001,
        "batch_size": 8,
        "label_smoothing": 0.0,
    }
    space = space_from_mapping({"base": "cnn-small", "params": {**params, "num_blocks": 3, "head": "global_max"}})
    assert len(portfolio_of(space, num_train=100)) == 1


def test_a_space_written_out_in_full_has_the_portfolio_of_the_built_in_one():
    space = space_from_mapping("cnn-small")
    written = space_from_mapping(space_to_mapping(space))
    assert portfolio_of(written, num_train=100) == portfolio_of(space, num_train=100) != []


def test_a_space_of_a_users_own_has_the_variants_of_its_family_in_its_own_parameters():
    params = {
        "kernel_size": {"choice": [3, 5]},
        "filters": {"choice": [8, 24]},
        "learning_rate": {"float": [1e-5, 1e-2], "log": True},
        "batch_size": 64,
    }
    family = {"choice": ["residual", "sequential"]}
    found = portfolio_of(space_from_mapping({"family": family, "params": params}), num_train=5000)
    learning_rates = [0.0013, 0.0038, 0.0093]
    assert found == [
        {"family": "sequential", "kernel_size": 3, "filters": filters, "learning_rate": rate, "batch_size": 64}
        for filters, rate in zip([8, 24, 24], learning_rates, strict=True)
    ]


def test_other_families_and_other_built_in_spaces_have_none():
    assert portfolio_of(space_from_mapping({"family": "residual"}), num_train=100) == []
    assert portfolio_of(space_from_mapping("resnet-small"), num_train=100) == []
    assert portfolio_of(space_from_mapping("cnn-deep"), num_train=100) == []


def test_a_parameter_that_the_portfolio_does_not_know_leaves_none():
    params = {"patience": {"choice": [0, 3]}}
    assert portfolio_of(space_from_mapping({"base": "cnn-small", "params": params}), num_train=100) == []
