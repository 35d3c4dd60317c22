"""Formats that Keras and TensorFlow write; imported in workers only, because it imports TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainables.errors import ModelExportError
from trainables.exporting.plain_graph import foreign_parts
from trainables.exporting.served import PYTHON_CALLS, calls_python, served_refusal
from trainables.machine.generated_code import GeneratedCode
from trainables.specs.export import FILES
from trainables.specs.task import Task

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a model, and to predict with what was written.

    Args:
        file_name: The file's or folder's name in the export.
        write: Writes a Keras model of a task to a path.
        predict: Loads it from a path and returns its float32 outputs for float32 images: one array, or one by name,
            as the model takes and gives them.
        refusal: Returns why a model cannot have this format, in words; an empty text if nothing is known against it.
        graph_refusal: Likewise, of the graph of a traced prediction and its model; None: the graph does not matter.
    """

    file_name: str
    write: Callable[[Any, Path, Task], None]
    predict: Callable[[Path, Any], Any]
    refusal: Callable[[Any], str] = lambda model: ""
    graph_refusal: Callable[[Any, Any], str] | None = None


def keras_refusal(model: Any) -> str:
    """Returns why a .keras file of a model would need code that whoever loads it does not have."""
    foreign = foreign_parts(model)
    if not foreign:
        return ""
    return (
        f"plain Keras cannot load {', '.join(foreign)}; make the model of keras.layers and keras.ops only, with all "
        "weights in layers of Keras's own, or export it without this format: `convfleet export RUN --format "
        "saved_model`, or export: {formats: [saved_model]} in the study file"
    )


def _write_keras(model: Any, path: Path, task: Task) -> None:
    model.save(path)


def _predict_keras(path: Path, images: Any) -> Any:
    return keras.models.load_model(path, safe_mode=True).predict(images, batch_size=_BATCH, verbose=0)


def write_saved_model(model: Any, path: Path, task: Task) -> None:
    """Writes a model as a SavedModel whose signature predicts, its inputs named as those of the task.

    Args:
        model: A Keras model.
        path: The folder to make.
        task: Its task.
    """
    # Not `model.export`: it calls the model without `training`, and Keras's random layers, and all layers behind some
    # others, then act as in training.
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve", lambda inputs: model(inputs, training=False), input_signature=[_signature(model, task)]
    )
    try:
        archive.write_out(str(path), verbose=False)
    finally:
        GeneratedCode().remove()


def _signature(model: Any, task: Task) -> Any:
    """Returns what the served function takes, each input under its name in the task.

    A user's lone `keras.Input` without a name is called after what the process built before.
    """
    (lone, *others) = task.inputs
    if others and getattr(model, "inputs", None):
        return {name: _spec(tensor, name=name) for name, tensor in model.input.items()}
    if getattr(model, "inputs", None):
        return _spec(model.inputs[0], name=lone)  # A Sequential's `input` exists only after a first call.
    specs = {name: keras.InputSpec(shape=(None, *task.input_shape), dtype="float32", name=name) for name in task.inputs}
    return specs if others else specs[lone]


def _spec(tensor: Any, *, name: str) -> keras.InputSpec:
    return keras.InputSpec(shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=name)


def _predict_saved_model(path: Path, images: Any) -> Any:
    # The loaded object owns the variables: it must live as long as its function is called.
    loaded = tf.saved_model.load(str(path))
    if any(calls_python(signature.graph) for signature in loaded.signatures.values()):
        # In this process the Python functions are there, and the file seems to be whole.
        raise ModelExportError(PYTHON_CALLS)
    starts = range(0, len(tf.nest.flatten(images)[0]), _BATCH)
    batches = [
        loaded.serve(tf.nest.map_structure(lambda array: tf.constant(array[at : at + _BATCH]), images))  # noqa: B023
        for at in starts
    ]
    return tf.nest.map_structure(lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *batches)


FORMATS: dict[str, Format] = {
    "keras": Format(file_name=FILES["keras"], write=_write_keras, predict=_predict_keras, refusal=keras_refusal),
    "saved_model": Format(
        file_name=FILES["saved_model"],
        write=write_saved_model,
        predict=_predict_saved_model,
        graph_refusal=served_refusal,
    ),
}
