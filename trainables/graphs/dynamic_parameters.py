"""Parameters that a traced training reads from variables, so that one trace serves all of their values.

They are those of `catalog.training.DYNAMIC`. Every training reads them from variables, the first of a trace as well:
a trace with numbers in it rounds differently, see findings/tensorflow-graph-divides-otherwise.sh.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from trainables.catalog.training import MODEL
from trainables.families.parts.blocks import HEAD_DROPOUT
from trainables.families.parts.keras_internals import (
    all_layers,
    learning_rate_or_schedule,
    plain_optimizer,
    replace_call,
)
from trainables.steps.schedules import LearningRateSchedule

_SCALE = "dropout scale"
#: A model with more bytes in its variables trains so long that a trace does not count.
MAX_KEPT_BYTES = 16_000_000


class DynamicParameters:
    """The dynamic parameters of one compiled model.

    Args:
        model: Compiled; changed in place.
        params: Complete parameters, of the model's phase.
    """

    def __init__(self, model: keras.Model, params: Mapping[str, Any]) -> None:
        optimizer = plain_optimizer(model.optimizer)
        self._variables: dict[str, tf.Variable] = {}
        course = learning_rate_or_schedule(optimizer)
        if isinstance(course, LearningRateSchedule):
            course.peak = self._add("learning_rate", params)
            self._learning_rate = None
        else:
            #: A variable of the optimizer's own, and so part of a training's state.
            self._learning_rate = course
        # What a model's own optimizer was made with stays.
        is_own = params["optimizer"] == MODEL
        if optimizer.weight_decay and not is_own:
            optimizer.weight_decay = self._add("weight_decay", params)
        if getattr(optimizer, "momentums", None) and isinstance(optimizer, keras.optimizers.SGD) and not is_own:
            optimizer.momentum = _AlwaysTruthyVariable(self._add("momentum", params))
        dropouts = [layer for layer in all_layers(model) if _is_at_rate(layer, params.get("dropout"))]
        if dropouts:
            rate, scale = self._add("dropout", params), self._add(_SCALE, _with_scale(params))
            for layer in dropouts:
                _read_rate_from(layer, rate, scale)

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that were added to the model, which hold nothing but parameters."""
        return list(self._variables.values())

    @property
    def named(self) -> dict[str, tf.Variable]:
        """These variables by name."""
        return {f"dynamic/{name}": variable for name, variable in self._variables.items()}

    def set(self, params: Mapping[str, Any]) -> None:
        """Sets all variables to other parameters, of a variant of the same architecture."""
        values = _with_scale(params)
        for name, variable in self._variables.items():
            variable.assign(values[name])
        if self._learning_rate is not None:
            self._learning_rate.assign(params["learning_rate"])

    def _add(self, name: str, params: Mapping[str, Any]) -> tf.Variable:
        self._variables[name] = tf.Variable(params[name], dtype=tf.float32, trainable=False, name=name)
        return self._variables[name]


def num_bytes(variables: Iterable[Any]) -> int:
    """Returns the memory of variables, of four bytes a number."""
    return 4 * sum(math.prod(variable.shape) for variable in variables)


class InitialState:
    """The values that a training's variables begin with, kept where they are small, so that another one can begin.

    Args:
        variables: By name.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        #: Whether the values are small enough to be kept.
        self.is_kept = num_bytes(variables.values()) <= MAX_KEPT_BYTES
        # Tensors, which TensorFlow copies before it changes a variable that shares their memory.
        self._values = {name: tf.identity(variable) for name, variable in variables.items()} if self.is_kept else {}

    def restore(self, variables: Mapping[str, Any]) -> None:
        """Sets the variables of these names to the values that they began with."""
        for name, variable in variables.items():
            variable.assign(self._values[name])


class _AlwaysTruthyVariable:
    """A variable that is unequal to every number, so that Keras may ask whether it is 0 while a step is traced.

    `SGD.update_step` in keras/src/optimizers/sgd.py, Keras 3.15, asks `if self.momentum != 0`; a plain variable would
    answer with a tensor, which has no truth in a graph.

    Args:
        variable: Not 0.
    """

    __hash__ = object.__hash__

    def __init__(self, variable: tf.Variable) -> None:
        self._variable = variable

    def __ne__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        """Returns its value, as TensorFlow's protocol for things that act as tensors asks."""
        return tf.convert_to_tensor(self._variable, dtype=dtype, name=name)


def _with_scale(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters with the factor of the numbers that dropout keeps."""
    return {**params, _SCALE: 1 / (1 - params["dropout"])} if "dropout" in params else dict(params)


def _is_at_rate(layer: Any, rate: float | None) -> bool:
    return (
        type(layer) is layers.Dropout
        and layer.name == HEAD_DROPOUT
        and layer.rate == rate
        and layer.noise_shape is None
    )


def _read_rate_from(layer: layers.Dropout, rate: tf.Variable, scale: tf.Variable) -> None:
    """Makes a dropout layer read its rate from a variable and draw the numbers that Keras draws at that rate."""

    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        # As Keras brings its seeds into TensorFlow's range.
        seed = tf.cast(tf.math.floormod(layer.seed_generator.next(), tf.int32.max - 1), tf.int32)
        noise = tf.random.stateless_uniform(tf.shape(inputs), seed=seed, dtype=inputs.dtype)
        return tf.where(noise >= tf.cast(rate, noise.dtype), inputs * tf.cast(scale, noise.dtype), 0)

    replace_call(layer, call)
