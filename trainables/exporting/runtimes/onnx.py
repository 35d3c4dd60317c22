"""Format `onnx`: an ONNX file of standard operators, loaded by ONNX Runtime."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trainables.errors import ModelExportError
from trainables.exporting.runtimes.conversion import Arrays, Conversion, RuntimeModel, Source, check_names
from trainables.exporting.runtimes.operators import COMPILED, RESIZING

#: The newest that tf2onnx writes without gaps is 18; runtimes of 2022 and later read 17.
_OPSET = 17


def _convert(source: Source, path: Path) -> None:
    # Late: the process that verifies the file imports this module without TensorFlow.
    import onnx
    from tf2onnx import convert, tf_loader

    # From the SavedModel, not from Keras: constants of `Normalization` would become inputs without values.
    graph, inputs, outputs, names = tf_loader.from_saved_model(
        str(source.saved_model),
        None,
        None,
        tag=["serve"],
        signatures=["serving_default"],
        return_tensors_to_rename=True,
    )
    model, _ = convert.from_graph_def(
        graph,
        name=path.stem,
        input_names=inputs,
        output_names=outputs,
        tensors_to_rename=names,
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_one_minus_erf, [])},
    )
    _order(model.graph.input, source.inputs)
    _order(model.graph.output, source.outputs)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ModelExportError(f"its layers need what ONNX does not have: {_first_line(exc)}") from exc
    path.write_bytes(model.SerializeToString())


def tensors_before(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns what each tensor of an ONNX file is computed from, in the order in which they are computed.

    Args:
        path: The file.
    """
    # Late: as above.
    import onnx

    graph = onnx.load(str(path)).graph
    return {output: tuple(node.input) for node in graph.node for output in node.output}


def _one_minus_erf(graph: Any, node: Any, name: str, args: object) -> Any:
    """Replaces TensorFlow's Erfc, which exact `gelu` consists of and ONNX does not have."""
    kind, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
    erf = graph.make_node("Erf", [node.input[0]], dtypes=[kind], shapes=[shape])
    one = graph.make_const(f"{name}_one", np.array(1.0, np.float32))
    graph.remove_node(name)
    return graph.make_node(
        "Sub", [one.output[0], erf.output[0]], name=name, outputs=[node.output[0]], dtypes=[kind], shapes=[shape]
    )


def _order(values: Any, names: Sequence[str]) -> None:
    """Puts a graph's inputs or outputs into the order of their names in the manifest."""
    found = {value.name: value for value in values}
    check_names(found, names)
    ordered = [found[name] for name in names]
    del values[:]
    values.extend(ordered)


def _first_line(exc: BaseException) -> str:
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)


def _open(path: Path, threads: int) -> RuntimeModel:
    # Late: only this format needs it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def predict(images: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(images)), strict=True))

    settings = {"threads": threads, "provider": "CPUExecutionProvider", "opset": _OPSET}
    return RuntimeModel(predict=predict, version=version("onnxruntime"), settings=settings)


ONNX = Conversion(
    runtime="onnxruntime",
    convert=_convert,
    open=_open,
    unknown={
        **RESIZING,
        "ResizeArea": "resizing by area comes out one pixel of four in ONNX; resize by bilinear",
        "Expm1": "ONNX has no expm1, which celu consists of; use elu or gelu",
        COMPILED: "ONNX cannot hold grouped convolutions, which Keras compiles by XLA; use separable ones, or none",
    },
)
