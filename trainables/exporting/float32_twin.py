"""A model that computes in half precision, rebuilt to compute in float32 with the same weights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from search_spaces import Variant
from trainables.errors import ModelExportError
from trainables.families.parts.keras_internals import all_layers

_HALF = frozenset({"float16", "bfloat16"})


def half_precision(model: keras.Model) -> list[str]:
    """Returns the half precisions that layers of a model compute in, sorted."""
    return sorted({layer.compute_dtype for layer in all_layers(model)} & _HALF)


def float32_twin(variant: Variant, *, rebuild: Callable[[Variant], Any]) -> Any:
    """Returns a variant's model with the same weights, all of whose layers compute in float32.

    No other runtime takes a graph with bfloat16, and LiteRT none with float16.

    Args:
        variant: That was trained.
        rebuild: Returns the model of a variant with the checkpoint's weights.

    Raises:
        ModelExportError: The variant's own code makes its layers half precise.
    """
    twin = rebuild(replace(variant, params={**variant.params, "precision": "float32"}))
    if found := half_precision(twin):
        raise ModelExportError(
            f"its layers compute in {' and '.join(found)} whatever parameter precision is, which other runtimes do not "
            "take; leave their dtype to precision, or export keras and saved_model only"
        )
    return twin
