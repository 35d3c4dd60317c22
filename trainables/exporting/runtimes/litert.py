"""Format `litert`: a .tflite file of built-in operators only, loaded by ai-edge-litert."""

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainables.exporting.runtimes.conversion import Arrays, Conversion, RuntimeModel, Source
from trainables.exporting.runtimes.operators import RESIZING

_SIGNATURE = "serving_default"


def new_converter(source: Source) -> Any:
    """Returns a converter of a SavedModel to built-in operators; TensorFlow is imported."""
    # Late: the process that verifies the file imports this module without TensorFlow.
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(source.saved_model))
    # Without TensorFlow's own operators, which a file may hold and ai-edge-litert cannot run.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def open_litert(path: Path, threads: int) -> RuntimeModel:
    """Loads a .tflite file.

    Args:
        path: The file.
        threads: How many it runs with.
    """
    # Late: only this format needs it.
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    # By name: the order of the file's own inputs and outputs is neither the model's nor the alphabet's.
    runner = interpreter.get_signature_runner(_SIGNATURE)

    def predict(images: Arrays) -> Arrays:
        return dict(runner(**images))

    return RuntimeModel(predict=predict, version=version("ai-edge-litert"), settings={"threads": threads})


def tensor_types(path: Path) -> dict[str, int]:
    """Returns how many tensors of a .tflite file are of each type, by type."""
    # Late: likewise.
    from ai_edge_litert.interpreter import Interpreter

    counts = Counter(tensor["dtype"].__name__ for tensor in Interpreter(model_path=str(path)).get_tensor_details())
    return dict(sorted(counts.items()))


def _convert(source: Source, path: Path) -> None:
    path.write_bytes(new_converter(source).convert())


LITERT = Conversion(runtime="ai-edge-litert", convert=_convert, open=open_litert, unknown=RESIZING)
