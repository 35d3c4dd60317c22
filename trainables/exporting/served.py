"""What of a traced prediction no SavedModel can hold."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

#: TensorFlow's operations that call a function of the Python process that traced them.
_PYTHON_OPERATIONS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
PYTHON_CALLS = (
    "its prediction calls Python (tf.py_function or tf.numpy_function), which no file holds; write that part with "
    "keras.ops"
)


def served_refusal(graph: Any, model: keras.Model) -> str:
    """Returns why a SavedModel cannot hold a model, in words; an empty text if nothing is known against it.

    Args:
        graph: Of its traced prediction.
        model: The model.
    """
    if calls_python(graph):
        return PYTHON_CALLS
    # Of what no layer has, Keras's archive adds variables, and nothing else.
    parts = [*tf.train.TrackableView(model).descendants(), *graph.variables]
    tracked = {id(handle) for part in parts for handle in _handles(part)}
    strangers = [outer for outer, _ in graph.captures if outer.dtype == tf.resource and id(outer) not in tracked]
    if strangers:
        return (
            f"its prediction uses {len(strangers)} tables or the like that no layer of it has as an attribute; make "
            "them attributes of a layer"
        )
    return ""


def calls_python(graph: Any) -> bool:
    """Returns whether a graph, or a function that it calls, has operations that call Python."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return any(node.op in _PYTHON_OPERATIONS for node in nodes)


def _handles(part: Any) -> Iterator[Any]:
    for name in ("handle", "resource_handle"):
        handle = getattr(part, name, None)
        if handle is not None:
            yield handle
