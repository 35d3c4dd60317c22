"""An export that was loaded to predict with, from whichever of its formats; images in, arrays out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainables.errors import ModelExportError
from trainables.specs.export import FILES

#: Images that go through a model at once.
_BATCH = 256


class OpenedModel:
    """A model in this process; it shares no variable and no function with another one.

    Args:
        model: The Keras model, or what TensorFlow loaded of a SavedModel; it owns the variables.
        call: Returns the model's output tensors for float32 tensors: one, or one by name.
        inputs: The manifest's inputs, each with name and shape.
    """

    def __init__(self, model: Any, *, call: Callable[[Any], Any], inputs: Sequence[Mapping[str, Any]]) -> None:
        self.model = model
        self._call = call
        self._shapes = {named["name"]: tuple(named["shape"][1:]) for named in inputs}

    def predict(self, images: Any) -> Any:
        """Returns the outputs of the model for images: one array, or one by output where it has several.

        Args:
            images: (count, height, width, channels), pixels of 0 to 255 of any number type, of the size that the
                manifest says; one by input where the model has several.

        Raises:
            ModelExportError: If the images are not what the model takes.
        """
        given = self._checked(images)
        count = len(next(iter(given.values())))
        batches = [
            self._outputs({name: array[start : start + _BATCH] for name, array in given.items()})
            for start in range(0, max(count, 1), _BATCH)
        ]
        return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)

    def _outputs(self, images: Mapping[str, np.ndarray]) -> Any:
        tensors = {name: tf.constant(array) for name, array in images.items()}
        given = tensors if len(tensors) > 1 else next(iter(tensors.values()))
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), self._call(given))

    def _checked(self, images: Any) -> dict[str, np.ndarray]:
        names = list(self._shapes)
        given = images if isinstance(images, Mapping) else {names[0]: images}
        if set(given) != set(names):
            raise ModelExportError(f"images: must be one array for each of {names}, got {sorted(map(str, given))}")
        arrays = {name: _pixels(given[name], name=name, shape=shape) for name, shape in self._shapes.items()}
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) > 1:
            raise ModelExportError(f"images: must be equally many for each input, got {counts}")
        return arrays


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
        return OpenedModel(model, call=model.serve, inputs=inputs)
    specs = {
        named["name"]: tf.TensorSpec((None, *named["shape"][1:]), tf.float32, name=named["name"]) for named in inputs
    }
    # One trace for batches of all sizes; a function of its own for each model.
    call = tf.function(
        lambda images: model(images, training=False),
        input_signature=[specs if len(specs) > 1 else next(iter(specs.values()))],
        autograph=False,
    )
    return OpenedModel(model, call=call, inputs=inputs)


def _load_keras(path: Path) -> Any:
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _pixels(images: Any, *, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(images)
    if array.dtype.kind not in "buif" or array.shape[1:] != shape or array.ndim == 0:
        wanted = ", ".join(["count", *map(str, shape)])
        raise ModelExportError(
            f"images: {name}: must be numbers of shape ({wanted}), pixels of 0 to 255, got {array.dtype} of shape "
            f"{array.shape}"
        )
    return array.astype(np.float32, copy=False)
