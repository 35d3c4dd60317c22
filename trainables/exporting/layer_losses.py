"""Names the layer at which a quantised file loses most of what its float32 twin knows of the images; NumPy only.

A layer's signal is how its values differ from image to image, not how large they are: a channel of one large value
would hide that all others are lost beside it. What a layer loses itself is what its output has lost more than its
inputs.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.exporting.runtimes.conversion import Conversion, LayerValues, Source
from trainables.user_code import in_words

#: The least share that noise has of a signal in decibels: 120 of them.
_LEAST_NOISE = 1e-12
#: What Keras appends to the names of layers when it traces a model for the file, the usual one first.
_SUFFIXES = ("_1", "", "_2")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorLoss:
    """What one tensor of a quantised file has lost.

    Attributes:
        tensor: Its name in the file.
        lost: The share of its signal that is lost, less that of the tensors which it is computed from.
        decibels: Of its signal to its noise.
    """

    tensor: str
    lost: float
    decibels: float


def worst_layer(conversion: Conversion, source: Source, *, path: Path, layers: Sequence[str]) -> dict[str, Any]:
    """Returns the layer that loses most, JSON-ready, or why it is not known; empty where the format cannot say it.

    `words` say it in any case; `layer` and `signal_to_noise_db` are there where it was found.

    Args:
        conversion: Of the format.
        source: What the file was made of.
        path: The file.
        layers: The names of the model's layers.
    """
    if conversion.layer_values is None:
        return {}
    try:
        values = conversion.layer_values(source, path)
        worst = max(tensor_losses(values), key=lambda loss: loss.lost)
    except Exception as exc:  # noqa: BLE001 - a tool for debugging never decides about a file
        return {"words": f"which layer loses most could not be found: {in_words(exc)}"}
    name = layer_of(worst.tensor, tensors=tuple(values.before), layers=layers)
    words = f"layer {name} loses most (signal to noise {worst.decibels:.1f} dB)"
    return {"layer": name, "signal_to_noise_db": worst.decibels, "words": words}


def tensor_losses(values: LayerValues) -> Iterator[TensorLoss]:
    """Yields what each tensor has lost that the quantised file and its float32 twin have both, in order."""
    lost: dict[str, float] = {}
    for tensor, inputs in values.before.items():
        incoming = max((lost.get(name, 0.0) for name in inputs), default=0.0)
        lost[tensor] = incoming
        if tensor not in values.exact or tensor not in values.quantised:
            continue
        if values.exact[tensor].shape != values.quantised[tensor].shape:
            # Another tensor of the same name.
            continue
        exact = values.exact[tensor].astype(np.float64)
        signal = float(np.square(exact - exact.mean(axis=0)).sum())
        noise = float(np.square(exact - values.quantised[tensor]).sum())
        if signal > 0:
            share = noise / signal if math.isfinite(noise) else 1.0
            lost[tensor] = min(1.0, share)
            decibels = -10 * math.log10(max(share, _LEAST_NOISE))
            yield TensorLoss(tensor=tensor, lost=lost[tensor] - incoming, decibels=decibels)


def layer_of(tensor: str, *, tensors: Sequence[str], layers: Sequence[str]) -> str:
    """Returns the layer that a tensor belongs to; the tensor's own name where none is known.

    >>> layer_of("net_1/dense_1_1/MatMul:0", tensors=["net_1/dense_1_1/MatMul:0"], layers=["dense", "dense_1"])
    'dense_1'

    Args:
        tensor: Its name in the file.
        tensors: All names in the file.
        layers: The names of the model's layers.
    """
    parts = {part for name in tensors for part in _parts(name)}
    suffix = max(_SUFFIXES, key=lambda suffix: sum(f"{layer}{suffix}" in parts for layer in layers))
    by_part = {f"{layer}{suffix}": layer for layer in layers}
    return next((by_part[part] for part in reversed(_parts(tensor)) if part in by_part), tensor)


def layer_names(model: Any) -> list[str]:
    """Returns the names of a model's layers, those of models within it among them."""
    return [
        name
        for layer in model.layers
        for name in (layer.name, *(layer_names(layer) if hasattr(layer, "layers") else ()))
    ]


def _parts(tensor: str) -> list[str]:
    return re.split("[/;]", re.sub(r":\d+$", "", tensor))
