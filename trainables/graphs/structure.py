"""Tells which networks have one graph: those whose layers differ in widths, in seeds and in numbers of variables."""

from collections.abc import Hashable, Mapping
from typing import Any

import keras
from keras import layers

from trainables.catalog.training import TRAINING, without_dynamic
from trainables.families.parts.blocks import HEAD_DROPOUT
from trainables.families.parts.keras_internals import layer_and_output_of, symbolic_calls
from trainables.steps.step_numbers import is_of_keras

#: Layers that put nothing of their widths into a graph, and the setting that is their width. Tests trace all of them at
#: two widths; a layer that is not here has a graph of its own.
_WIDTHS: Mapping[type, str] = {
    layers.InputLayer: "",
    layers.Rescaling: "",
    layers.Conv2D: "filters",
    layers.BatchNormalization: "",
    layers.Activation: "",
    layers.MaxPooling2D: "",
    layers.AveragePooling2D: "",
    layers.GlobalAveragePooling2D: "",
    layers.GlobalMaxPooling2D: "",
    layers.Flatten: "",
    layers.Dropout: "",
    layers.Dense: "units",
    layers.Add: "",
    layers.Multiply: "",
    layers.Concatenate: "",
}


def structure_of(model: keras.Model, params: Mapping[str, Any]) -> Hashable | None:
    """Returns what the graphs of a model's training follow from, beside data and epochs; None if it is not known.

    Args:
        model: Built; of this package's families.
        params: The variant's complete parameters.
    """
    # What a family computes without a layer is among the operations alone.
    operations = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", None)
    if not is_of_keras(model) or operations is None or _is_stepped_by_condition(params):
        return None
    # What a family makes of its own parameters is in its layers.
    trained = {name: value for name, value in without_dynamic(params).items() if name in TRAINING}
    found = [_layer(layer, rate=params.get("dropout")) for layer in operations]
    return None if None in found else (type(model).__name__, repr(sorted(trained.items())), *found)


def _is_stepped_by_condition(params: Mapping[str, Any]) -> bool:
    """Returns whether an optimizer takes some steps only, for which it puts zeros of all widths into the graph."""
    return params["gradient_accumulation"] > 1 or params["precision"] == "mixed_float16"


def _layer(layer: Any, *, rate: float | None) -> Hashable | None:
    width = _WIDTHS.get(type(layer))
    if width is None:
        return None
    calls, settings = symbolic_calls(layer), layer.get_config()
    if _has_width_in_graph(layer, settings):
        return None
    # A width of 1 broadcasts, which takes other operations.
    if settings.get(width) != 1:
        settings.pop(width, None)
    if layer.name == HEAD_DROPOUT and settings.get("rate") == rate:
        # Read from a variable, see `DynamicParameters`.
        del settings["rate"]
    sources = tuple(tuple(map(layer_and_output_of, inputs)) for inputs, _ in calls)
    return type(layer).__name__, repr(sorted(settings.items())), sources


def _has_width_in_graph(layer: Any, settings: Mapping[str, Any]) -> bool:
    """Returns whether a penalty's gradient, missing weights, or a dense layer over pixels put widths into the graph."""
    if any(value for name, value in settings.items() if name.endswith(("_regularizer", "_constraint"))):
        return True
    if not (settings.get("scale", True) and settings.get("center", True)):
        return True
    inputs = (tensor for call, _ in symbolic_calls(layer) for tensor in call)
    return type(layer) is layers.Dense and any(len(tensor.shape) != 2 for tensor in inputs)
