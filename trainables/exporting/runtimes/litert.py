"""Format `litert`: a .tflite file of built-in operators only, loaded by ai-edge-litert."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

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


def computed_from(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns what each tensor of a .tflite file is computed from, in the order in which they are computed.

    Args:
        path: The file.
    """
    # Late: likewise.
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    names = [graph.Tensors(place).Name().decode() for place in range(graph.TensorsLength())]
    operators = [graph.Operators(place) for place in range(graph.OperatorsLength())]
    return {
        names[output]: tuple(names[place] for place in operator.InputsAsNumpy() if place >= 0)
        for operator in operators
        for output in operator.OutputsAsNumpy()
    }


def tensor_values(path: Path, batches: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Returns the numbers that a .tflite file computes, by the name of the tensor; each (images, ...) in float32.

    Args:
        path: The file.
        batches: One image each, by input.
    """
    # Late: likewise.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner, computed = interpreter.get_signature_runner(_SIGNATURE), computed_from(path)
    found: dict[str, list[np.ndarray]] = {}
    for batch in batches:
        runner(**batch)
        for tensor in interpreter.get_tensor_details():
            scales = tensor["quantization_parameters"]["scales"]
            if tensor["name"] in computed and (tensor["dtype"] is np.float32 or scales.size == 1):
                values = interpreter.get_tensor(tensor["index"]).astype(np.float32)
                if scales.size:
                    values = (values - tensor["quantization_parameters"]["zero_points"]) * scales
                found.setdefault(tensor["name"], []).append(values)
    return {name: np.stack(values) for name, values in found.items()}


def _convert(source: Source, path: Path) -> None:
    path.write_bytes(new_converter(source).convert())


LITERT = Conversion(runtime="ai-edge-litert", convert=_convert, open=open_litert, unknown=RESIZING)
