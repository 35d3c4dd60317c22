"""What a user's model is made of, as plain data: the same for the same model in every process, whatever Keras names it.

Of each layer its class, its settings as far as they can be written down, and its weights; of a graph of layers also
what is called on what. What a class's `call` does with values that no layer has is not seen.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from trainables.families.parts.keras_internals import all_layers, inner_layers

_DIGITS = 12
#: Settings that differ between two builds of one model, or are listed elsewhere.
_LEFT_OUT = frozenset({"name", "seed", "layers", "input_layers", "output_layers", "build_config", "shared_object_id"})


def signature_of(model: keras.Model) -> dict[str, Any]:
    """Returns the signature of a built model, JSON-ready."""
    configs, layers = _described_layers(model)
    numbers = _numbers(configs)
    calls = [
        [entry.get("class_name"), _digest(entry["inbound_nodes"], numbers)]
        for config in configs
        for entry in config.get("layers", ())
        if isinstance(entry, Mapping) and "inbound_nodes" in entry
    ]
    return {
        "keras": keras.__version__,
        "parameters": int(model.count_params()),
        "layers": [entry for _, entry in layers],
        "calls": calls,
        "weights": [_described(variable) for variable in model.variables],
    }


def layer_entries(model: keras.Model) -> list[tuple[Any, dict[str, Any]]]:
    """Returns each layer of a built model with its class, settings and weights, JSON-ready, inner ones first."""
    return _described_layers(model)[1]


def _described_layers(model: keras.Model) -> tuple[list[Mapping[str, Any]], list[tuple[Any, dict[str, Any]]]]:
    """Returns the settings as Keras has them, and each layer with what is written down of it."""
    # What lies inside first: the settings of a layer that holds others may repeat theirs.
    every = sorted(all_layers(model), key=lambda layer: bool(inner_layers(layer)))
    configs = [_config(layer) for layer in every]
    numbers = _numbers(configs)
    layers = [
        {
            "class": _kind(layer),
            "settings": _settings(config, numbers),
            # Of a layer that holds others, these are theirs.
            "weights": [] if inner_layers(layer) else [_described(variable) for variable in layer.variables],
        }
        for layer, config in zip(every, configs, strict=True)
    ]
    return configs, list(zip(every, layers, strict=True))


def _numbers(configs: list[Mapping[str, Any]]) -> dict[str, str]:
    """Returns a number for each name of a layer or an operation, in the order of the configurations."""
    return {name: f"#{place}" for place, name in enumerate(dict.fromkeys(_names(configs)))}


def _config(layer: Any) -> Mapping[str, Any]:
    try:
        config = layer.get_config()
    except Exception:  # noqa: BLE001 - a user's class need not be serialisable, and may raise anything
        return {}
    return config if isinstance(config, Mapping) else {}


def _kind(layer: Any) -> str:
    kind = type(layer)
    return kind.__name__ if kind.__module__.partition(".")[0] == "keras" else f"{kind.__module__}.{kind.__qualname__}"


def _names(value: Any) -> Iterator[str]:
    """Yields the names of the layers and operations in configurations, in their order."""
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def _settings(config: Mapping[str, Any], numbers: Mapping[str, str]) -> dict[str, Any]:
    """Returns what can be written down: short values as they are, others as a hash."""
    settings = {}
    for name, value in config.items():
        if name in _LEFT_OUT:
            continue
        if value is None or isinstance(value, bool | int | float | str) or _is_short(value):
            settings[name] = list(value) if isinstance(value, tuple) else value
        elif digest := _digest(value, numbers):
            settings[name] = f"sha256 {digest}"
    return settings


def _is_short(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) <= 4
        and all(item is None or isinstance(item, bool | int | float | str) for item in value)
    )


def _digest(value: Any, numbers: Mapping[str, str]) -> str:
    """Returns a hash of a value without names and seeds; an empty text where it cannot be written down."""
    try:
        text = json.dumps(_nameless(value, numbers), sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _nameless(value: Any, numbers: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__lambda__":
            # Its bytecode is written in more than one way.
            return "a lambda"
        kept = {str(key): inner for key, inner in value.items() if key not in ("seed", "shared_object_id")}
        return {key: _nameless(inner, numbers) for key, inner in kept.items()}
    if isinstance(value, list | tuple):
        return [_nameless(inner, numbers) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return numbers.get(value, value) if isinstance(value, str) else value


def _described(variable: Any) -> str:
    """Returns the shape and type of a variable.

    >>> _described(keras.Variable(np.zeros((3, 1), np.float32)))
    '3x1 float32'
    """
    return f"{'x'.join(map(str, variable.shape)) or 'one'} {keras.backend.standardize_dtype(variable.dtype)}"
