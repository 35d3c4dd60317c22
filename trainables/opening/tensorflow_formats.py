"""Loads an export by Keras and TensorFlow to predict with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainables.errors import ModelExportError
from trainables.opening.opened_model import OpenedModel
from trainables.specs.export import FILES


def open_model(folder: Path, *, form: str, inputs: Sequence[Mapping[str, Any]]) -> OpenedModel:
    """Returns the model of an export, loaded from one of its formats.

    Args:
        folder: Holds the files of that format.
        form: keras or saved_model.
        inputs: The manifest's inputs.

    Raises:
        ModelExportError: If Keras or TensorFlow cannot load it.
    """
    path = folder / FILES[form]
    try:
        model = _load_keras(path) if form == "keras" else tf.saved_model.load(str(path))
    except Exception as exc:  # Both raise anything for a file of another version.
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise ModelExportError(f"{FILES[form]} cannot be loaded by this TensorFlow and Keras: {lines[0]}") from exc
    if form != "keras":
        return OpenedModel(model, call=_on_arrays(model.serve), inputs=inputs)
    specs = {
        named["name"]: tf.TensorSpec((None, *named["shape"][1:]), tf.float32, name=named["name"]) for named in inputs
    }
    # One trace for batches of all sizes; a function of its own for each model.
    call = tf.function(
        lambda images: model(images, training=False),
        input_signature=[specs if len(specs) > 1 else next(iter(specs.values()))],
        autograph=False,
    )
    return OpenedModel(model, call=_on_arrays(call), inputs=inputs)


def _load_keras(path: Path) -> Any:
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _on_arrays(call: Callable[[Any], Any]) -> Callable[[dict[str, np.ndarray]], Any]:
    """Returns a function of arrays that calls one of tensors: of one, or of one by name."""

    def on_arrays(images: dict[str, np.ndarray]) -> Any:
        tensors = {name: tf.constant(array) for name, array in images.items()}
        given = tensors if len(tensors) > 1 else next(iter(tensors.values()))
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), call(given))

    return on_arrays
