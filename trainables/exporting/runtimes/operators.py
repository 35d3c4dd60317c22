"""TensorFlow's operations of a SavedModel, and which of them a format cannot express; TensorFlow is imported late."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

#: What no format can express.
RESIZING: Mapping[str, str] = {
    "ScaleAndTranslate": "the format cannot resize with antialias, nor by lanczos3 or lanczos5; resize by bilinear "
    "without antialias",
    "ResizeBicubic": "the format cannot resize by bicubic; resize by bilinear",
    "ResizeArea": "the format cannot resize by area; resize by bilinear",
}
#: Stands for any function that XLA must compile; Keras makes one of each grouped convolution.
COMPILED = "_XlaMustCompile"
_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


def operations_in(saved_model: Path) -> set[str]:
    """Returns the operations of a SavedModel's prediction, and COMPILED if XLA must compile a part."""
    # Late: formats are looked up in processes without TensorFlow.
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    return operations_of(loaded.signatures["serving_default"].graph)


def operations_of(graph: Any) -> set[str]:
    """Returns the operations of a graph of TensorFlow's and of the functions that it calls."""
    definition = graph.as_graph_def()
    found: set[str] = set()
    for node in _nodes(definition):
        found.add(node.op)
        if node.attr[COMPILED].b if COMPILED in node.attr else False:
            found.add(COMPILED)
    if any(COMPILED in function.attr and function.attr[COMPILED].b for function in definition.library.function):
        found.add(COMPILED)
    return found


def unknown_operations(operations: Set[str], unknown: Mapping[str, str]) -> str:
    """Returns what of a model a format cannot express, in words; an empty text for nothing.

    >>> unknown_operations({"Conv2D", "Expm1"}, {"Expm1": "it has no expm1"})
    'it has no expm1'

    Args:
        operations: Of the model.
        unknown: The words for each that the format does not know.
    """
    if not operations.isdisjoint(_PYTHON):
        return "its prediction calls Python, which no file holds; write that part with keras.ops"
    return "; ".join(words for operation, words in unknown.items() if operation in operations)


def _nodes(definition: Any) -> Iterator[Any]:
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def
