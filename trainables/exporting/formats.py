"""The formats that models are exported in; imported in workers only, because it imports TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a model, and to predict with what was written.

    Args:
        file_name: The file's or folder's name in the export.
        write: Writes a Keras model to a path.
        predict: Loads it from a path and returns its float32 outputs for float32 images: one array, or one by name,
            as the model takes and gives them.
    """

    file_name: str
    write: Callable[[Any, Path], None]
    predict: Callable[[Path, Any], Any]


def _write_keras(model: Any, path: Path) -> None:
    model.save(path)


def _predict_keras(path: Path, images: Any) -> Any:
    return keras.models.load_model(path, safe_mode=True).predict(images, batch_size=_BATCH, verbose=0)


def _write_saved_model(model: Any, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _predict_saved_model(path: Path, images: Any) -> Any:
    # The loaded object owns the variables: it must live as long as its function is called.
    loaded = tf.saved_model.load(str(path))
    starts = range(0, len(tf.nest.flatten(images)[0]), _BATCH)
    batches = [
        loaded.serve(tf.nest.map_structure(lambda array: tf.constant(array[at : at + _BATCH]), images))  # noqa: B023
        for at in starts
    ]
    return tf.nest.map_structure(lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *batches)


FORMATS: dict[str, Format] = {
    "keras": Format(file_name="model.keras", write=_write_keras, predict=_predict_keras),
    "saved_model": Format(file_name="saved_model", write=_write_saved_model, predict=_predict_saved_model),
}
