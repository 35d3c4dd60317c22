"""The built-in spaces: readable, documented, and made of parameters that the families understand."""

import re
from math import prod

import pytest

from search_spaces import SpaceError, builtin_names, builtin_text, space_from_mapping, space_to_mapping
from trainables.catalog.families import FAMILIES

TRAINING = {
    "optimizer",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "label_smoothing",
}
PLAIN = {
    "num_blocks",
    "filters",
    "filters_growth",
    "kernel_size",
    "stride",
    "padding",
    "activation",
    "pooling",
    "batch_norm",
    "dropout",
    "dense_units",
}
ARCHITECTURE = {
    "cnn-deep": PLAIN,
    "cnn-small": PLAIN | {"head"},
    "inception-small": {
        "num_modules",
        "pool_every",
        "branches",
        "merge",
        "skip",
        "shared",
        "filters",
        "filters_growth",
        "pooling",
        "activation",
        "batch_norm",
        "dropout",
    },
    "multitask-small": {
        "trunk",
        "num_blocks",
        "filters",
        "filters_growth",
        "pooling",
        "activation",
        "batch_norm",
        "head",
        "shared_trunk",
        "head_units",
        "dropout",
    },
    "resnet-cifar": {
        "preset",
        "pre_activation",
        "squeeze_excite",
        "stochastic_depth",
        "activation",
        "batch_norm",
        "dropout",
    },
    "resnet-small": {"num_stages", "blocks_per_stage", "filters", "activation", "batch_norm", "dropout"},
    "supervised-small": {
        "num_blocks",
        "filters",
        "filters_growth",
        "kernel_size",
        "activation",
        "batch_norm",
        "dropout",
        "auxiliary_weight",
    },
    "transfer-small": {
        "backbone",
        "alpha",
        "weights",
        "image_side",
        "head",
        "dense_units",
        "dropout",
        "frozen_epochs",
        "fine_tune_from",
        "fine_tune_learning_rate_share",
        "freeze_batch_norm",
    },
    "unet-small": {
        "depth",
        "filters",
        "filters_growth",
        "convs_per_level",
        "kernel_size",
        "upsampling",
        "activation",
        "batch_norm",
        "dropout",
    },
}
#: The spaces whose variants are validated with a running average of their weights.
AVERAGED = {"cnn-small"}


def header(name: str) -> str:
    lines = builtin_text(name).splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


def test_built_in_spaces_are_these() -> None:
    assert builtin_names() == tuple(ARCHITECTURE)


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_space_has_exactly_these_parameters_and_its_family_understands_them(name: str) -> None:
    space = space_from_mapping(name)
    (family,) = space.families
    has_sgd = "sgd" in space.parameter("optimizer").domain.values()
    averages = {"ema_momentum"} if name in AVERAGED else set()
    wanted = {"family"} | ARCHITECTURE[name] | TRAINING | averages | ({"momentum"} if has_sgd else set())
    assert set(space.names) == wanted
    assert ARCHITECTURE[name] <= FAMILIES[family].parameters.keys()
    assert not has_sgd or space.parameter("momentum").when == {"optimizer": ("sgd",)}


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_space_states_its_source_size_and_what_to_expect(name: str) -> None:
    text = header(name)
    assert text.startswith(f"{name}: ")
    assert re.search(r"Source: .*arXiv:\d{4}\.\d{4,5}", text)
    assert "Expect: " in text
    stated = re.search(r"Discrete combinations: (\d+)", text)
    assert stated is not None
    sizes = [parameter.domain.size for parameter in space_from_mapping(name).parameters]
    assert int(stated[1]) == prod(size for size in sizes if size is not None)


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_space_round_trips(name: str) -> None:
    space = space_from_mapping(name)
    assert space_from_mapping(space_to_mapping(space)) == space


def test_unknown_built_in_space_suggests_the_nearest() -> None:
    with pytest.raises(SpaceError) as caught:
        builtin_text("resnet-smal")
    assert str(caught.value) == (
        "no built-in space is called 'resnet-smal'; there are cnn-deep, cnn-small, inception-small, "
        "multitask-small, resnet-cifar, resnet-small, supervised-small, transfer-small, "
        "unet-small; "
        "did you mean 'resnet-small'?"
    )
