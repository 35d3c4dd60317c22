"""Counts and says how much training images count in the loss, where the study names a column of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.data.images.images import Array
from trainables.errors import DataError


def weight_facts(weights: Array) -> dict[str, Any]:
    """Returns the facts about the weights of the training images, as a JSON-ready mapping.

    Raises:
        DataError: If all of them are 0.
    """
    if not weights.any():
        raise DataError(
            f"data.sample_weight: all {len(weights):,} training images have the weight 0, so none would count; give "
            "those to learn from a weight above 0"
        )
    return {
        "lowest": float(weights.min()),
        "highest": float(weights.max()),
        "mean": float(weights.mean(dtype=float)),
        "zeros": int((weights == 0).sum()),
        "images": len(weights),
    }


def weight_sentence(facts: Mapping[str, Any], *, column: str) -> str:
    """Returns the facts as a sentence."""
    zeros, images = facts["zeros"], facts["images"]
    nothing = f"{zeros:,} of them ({zeros / images:.1%}) weigh nothing" if zeros else "none weighs nothing"
    return (
        f"data.sample_weight {column!r}: training images weigh {facts['lowest']:g} to {facts['highest']:g} in the "
        f"loss, {facts['mean']:.3g} on average; {nothing}"
    )
