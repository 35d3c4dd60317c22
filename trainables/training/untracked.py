"""Variables that a training uses and Keras does not list: users' code may keep state where no layer tracks it.

Among them are plain `tf.Variable`s, `tf.random.Generator`s, seed generators outside of layers, and Keras's own one,
from which `keras.random` draws where it is given no seed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

#: Prefix of array names in a training's state.
UNTRACKED = "untracked/"


def untracked_variables(
    graph: Any, *, known: Iterable[Any], metrics: Iterable[Any], scratch: Iterable[Any] = ()
) -> Mapping[str, Any]:
    """Returns the variables that a traced epoch uses beside those known, by name, in the order of their first use.

    graph: of the traced function. known: Keras's variables of model and optimizer. metrics: those of metrics, which
    every epoch resets. scratch: TensorFlow's own variables that hold nothing between epochs.
    """
    passed_over = {id(variable.value) for variable in (*known, *metrics)} | {id(variable) for variable in scratch}
    # TensorFlow lists a graph's variables in no order, and its captures in the order in which tracing met them.
    by_handle = {id(variable.handle): variable for variable in graph.variables}
    used = [by_handle[id(tensor)] for tensor, _ in graph.captures if id(tensor) in by_handle]
    others = [variable for variable in used if id(variable) not in passed_over]
    return {f"{UNTRACKED}{number:04d}": variable for number, variable in enumerate(others)}
