"""A training's variables: what they start from, the running averages of weights, and state that Keras does not list.

Keras keeps the averages of weights (`use_ema`) among the optimizer's variables, average = m x average + (1 - m) x
weight after each batch, beginning with the first batch's weights. Variables that are not trained, such as the
statistics of batch normalisation, have no average.

Source: Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; exponential as in Szegedy et
al. 2016, arXiv:1512.00567, section 8.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces import Variant
from trainables.checkpoints.state_names import AVERAGE, MODEL, OPTIMIZER, UNTRACKED
from trainables.errors import CheckpointError
from trainables.families.parts.keras_internals import averages_of, plain_optimizer
from trainables.steps.replicas import copies


def state_variables(model: Any) -> dict[str, Any]:
    """Returns every variable that the next step of a compiled model depends on, by name.

    `average/0003` is the average of `model/0003`. Keras counts a layer's random seed state among the model's variables.
    """
    averages = _averages(model)
    others = [variable for variable in model.optimizer.variables if id(variable) not in set(map(id, averages.values()))]
    return model_variables(model) | averages | {f"{OPTIMIZER}{number:04d}": v for number, v in enumerate(others)}


def model_variables(model: Any) -> dict[str, Any]:
    """Returns the model's own variables by name."""
    return {f"{MODEL}{number:04d}": variable for number, variable in enumerate(model.variables)}


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Sets the model's weights to their averages for a while; a model without averages stays as it is."""
    averages, weights = _averages(model), model_variables(model)
    places = {name: weights[MODEL + name.removeprefix(AVERAGE)] for name in averages}
    trained = {name: weight.numpy() for name, weight in places.items()}
    try:
        for name, weight in places.items():
            weight.assign(averages[name].numpy())
        yield
    finally:
        for name, weight in places.items():
            weight.assign(trained[name])


def _averages(model: Any) -> dict[str, Any]:
    optimizer = plain_optimizer(model.optimizer)
    if not optimizer.use_ema:
        return {}
    numbers = {id(variable): number for number, variable in enumerate(model.variables)}
    return {
        f"{AVERAGE}{numbers[id(weight)]:04d}": average
        for weight, average in averages_of(optimizer)
        if average is not None
    }


def untracked_variables(
    graph: Any, *, known: Iterable[Any], metrics: Iterable[Any], scratch: Iterable[Any] = ()
) -> Mapping[str, Any]:
    """Returns the variables that a traced epoch uses beside those known, by name, in the order of their first use.

    Args:
        graph: Of the traced function.
        known: Keras's variables of model and optimizer.
        metrics: Those of metrics, which every epoch resets.
        scratch: TensorFlow's own variables that hold nothing between epochs.
    """
    passed_over = {id(variable.value) for variable in (*known, *metrics)} | {id(variable) for variable in scratch}
    # TensorFlow lists a graph's variables in no order, and its captures in the order in which tracing met them.
    by_handle = {id(variable.handle): variable for variable in graph.variables}
    used = [by_handle[id(tensor)] for tensor, _ in graph.captures if id(tensor) in by_handle]
    others = [variable for variable in used if id(variable) not in passed_over]
    return {f"{UNTRACKED}{number:04d}": variable for number, variable in enumerate(others)}


def assign(variables: Mapping[str, Any], state: Mapping[str, np.ndarray], *, variant: Variant) -> None:
    """Sets all variables, or none if the arrays are not theirs.

    Raises:
        CheckpointError: The arrays are of other names, or of other shapes.
    """
    if variables.keys() != state.keys():
        raise CheckpointError(
            f"the checkpoint holds {len(state)} arrays, variant {variant.variant_id} has {len(variables)}"
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != state[name].shape:
            raise CheckpointError(f"{name}: expected shape {tuple(variable.shape)}, got {state[name].shape}")
    for name, variable in variables.items():
        variable.assign(state[name])


def memory_of_all(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the memory of variables by name, see `memory_of`."""
    return {name: memory_of(variable) for name, variable in variables.items()}


def memory_of(variable: Any) -> np.ndarray:
    """Returns a variable's own memory as an array that never changes; a copy of it on a GPU."""
    plain = copies(variable)[0] if isinstance(variable, keras.Variable) else variable
    # The operation itself: the rest of what `read_value` does takes five times as long.
    return np.asarray(tf.raw_ops.ReadVariableOp(resource=plain.handle, dtype=plain.dtype))
