"""The weights alone as a format, for trainables/exporting/formats.py."""

from pathlib import Path
from typing import Any

import keras

from trainables.exporting.formats import FORMATS, Format
from trainables.specs.task import Task


def write_weights(model: Any, path: Path, task: Task) -> None:
    """Writes the graph as JSON and the weights beside it."""
    path.mkdir()
    (path / "model.json").write_text(model.to_json(), encoding="utf-8")
    model.save_weights(path / "model.weights.h5")


def predict_weights(path: Path, images: Any) -> Any:
    """Returns the outputs of the model that was written."""
    model = keras.models.model_from_json((path / "model.json").read_text(encoding="utf-8"))
    model.load_weights(path / "model.weights.h5")
    return model.predict(images, verbose=0)


FORMATS["weights"] = Format(file_name="weights", write=write_weights, predict=predict_weights)
