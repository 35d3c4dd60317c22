"""The formats that models are exported in; imported in a worker only, because it brings TensorFlow."""

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
        write: Writes a Keras model there.
        predict: Loads it from there and returns float32 (batch, classes) for float32 images.
    """

    file_name: str
    write: Callable[[Any, Path], None]
    predict: Callable[[Path, np.ndarray], np.ndarray]


def _write_keras(model: Any, path: Path) -> None:
    model.save(path)


def _predict_keras(path: Path, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.models.load_model(path).predict(images, batch_size=_BATCH, verbose=0))


def _write_saved_model(model: Any, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _predict_saved_model(path: Path, images: np.ndarray) -> np.ndarray:
    # The loaded object owns the variables: it must live as long as its function is called.
    loaded = tf.saved_model.load(str(path))
    starts = range(0, len(images), _BATCH)
    return np.concatenate([np.asarray(loaded.serve(tf.constant(images[at : at + _BATCH]))) for at in starts])


FORMATS: dict[str, Format] = {
    "keras": Format(file_name="model.keras", write=_write_keras, predict=_predict_keras),
    "saved_model": Format(file_name="saved_model", write=_write_saved_model, predict=_predict_saved_model),
}
