"""What is trained: lists of variants for the comparisons, and one space for the search to a target accuracy.

The lists are grids in the words of a study file, and the peers get what convfleet's own grid makes of them; so all
train the same. The space is translated by each peer into its own words.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What the family `sequential` takes where a space does not name it, for models built by hand.
DEFAULTS: Mapping[str, Any] = {
    "num_blocks": 2,
    "filters": 16,
    "kernel_size": 3,
    "dense_units": 0,
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "batch_size": 128,
}

#: 24 small CNNs of 12 graphs: the learning rate changes numbers alone.
SMALL_CNNS: Mapping[str, Any] = {
    "num_blocks": {"choice": [2, 3]},
    "filters": {"choice": [8, 16]},
    "dense_units": {"choice": [0, 64]},
    "dropout": {"choice": [0.0, 0.3], "when": {"dense_units": 64}},
    "learning_rate": {"choice": [1e-3, 3e-3]},
    "batch_size": 128,
}
#: 120 tiny ones of 8 graphs.
TINY_CNNS: Mapping[str, Any] = {
    "num_blocks": {"choice": [1, 2]},
    "filters": {"choice": [4, 8]},
    "dropout": {"choice": [0.0, 0.2]},
    "learning_rate": {"choice": [round(3e-4 * 100 ** (step / 14), 6) for step in range(15)]},
    "batch_size": 32,
}
#: What the search to a target accuracy draws from; wide enough that most of it is not worth training to the end.
SEARCH_SPACE: Mapping[str, Any] = {
    "num_blocks": {"int": [2, 4]},
    "filters": {"choice": [8, 16, 24]},
    "kernel_size": {"choice": [3, 5]},
    "dense_units": {"choice": [0, 64]},
    "dropout": {"float": [0.0, 0.5]},
    "learning_rate": {"float": [1e-4, 1e-1], "log": True},
    "batch_size": 64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One comparison.

    Args:
        params: The grid, as `space.params` of a study file.
        num_variants: How many of its variants.
        epochs: How long each is trained.
        num_images: Training and validation images together.
        peers: Who takes part where the command line does not say.
    """

    params: Mapping[str, Any]
    num_variants: int
    epochs: int
    num_images: int
    peers: tuple[str, ...]


ALL_PEERS = ("convfleet", "keras_tuner", "ray_tune", "optuna", "optuna_2_threads", "keras_loop")
PRESETS: Mapping[str, Preset] = {
    "cifar": Preset(params=SMALL_CNNS, num_variants=24, epochs=3, num_images=5000, peers=ALL_PEERS),
    "long": Preset(params=SMALL_CNNS, num_variants=24, epochs=9, num_images=5000, peers=("convfleet",)),
    "tiny": Preset(params=TINY_CNNS, num_variants=120, epochs=3, num_images=1437, peers=("convfleet", "keras_tuner")),
}


def family_space(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the `space` section of a study file."""
    return {"family": "sequential", "params": dict(params)}


def variants_of(params: Mapping[str, Any], *, count: int) -> list[dict[str, Any]]:
    """Returns the first variants of the grid in convfleet's own order, with every parameter of `DEFAULTS`.

    >>> variants_of(TINY_CNNS, count=120)[15] == {**DEFAULTS, "num_blocks": 1, "filters": 4, "dropout": 0.2,
    ...                                           "learning_rate": 3e-4, "batch_size": 32}
    True
    """
    from search_spaces import space_from_mapping

    grid = space_from_mapping(family_space(params)).grid()
    return [complete(values) for values in itertools.islice(grid, count)]


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a variant's parameters with the defaults of those that it does not name."""
    return {**DEFAULTS, **{name: value for name, value in values.items() if name != "family"}}


def graph_of(variant: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns what is equal for variants whose steps take equally long."""
    return tuple(value for name, value in sorted(variant.items()) if name != "learning_rate")
