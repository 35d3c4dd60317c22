"""What a variant costs: parameters, multiply-adds and latency of a prediction, memory of its training.

Every call of every layer is counted. Those of a model of plain layers, each called once, are known from the model
itself; another one is traced once on symbolic images: nested models, layers shared by several branches and subclassed
models count with what they do.
"""

import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from trainables.errors import InfeasibleError
from trainables.families.parts.inputs import model_inputs
from trainables.families.parts.keras_internals import (
    inner_layers,
    own_call,
    replace_call,
    restore_call,
    symbolic_calls,
)
from trainables.graphs.sharing import NOTHING_SHARED, NetworkGraphs, bound
from trainables.specs.task import Task
from trainables.training.state import model_variables

BYTES_PER_NUMBER = 4
#: Predictions before the latency is measured, and those of which it is the median.
WARM_UPS, TIMED_PREDICTIONS = 2, 9
#: Layers whose output is their input, in this shape or another.
_FREE = (layers.InputLayer, layers.Flatten, layers.Reshape, layers.Permute, layers.Identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """One call of a layer on one image.

    Args:
        layer: Which layer.
        num_inputs: Numbers in its input.
        num_outputs: Numbers in its outputs.
    """

    layer: keras.layers.Layer
    num_inputs: int
    num_outputs: int


def check_limits(cost: Mapping[str, float], limits: Mapping[str, float]) -> None:
    """Refuses a variant that costs more than a study allows.

    Raises:
        InfeasibleError: A limit is exceeded; the message names each.
    """
    exceeded = [
        f"{name} {cost[name]:,.0f} (space.limits allows {limit:,.0f})"
        for name, limit in limits.items()
        if cost[name] > limit
    ]
    if exceeded:
        raise InfeasibleError(f"the variant costs too much: {', '.join(exceeded)}; nothing was trained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A compiled prediction of one image.

    Args:
        run: Takes float32 (1, height, width, stored channels), returns the model's outputs.
        calls: Every call of a layer without sublayers, in the order of the calls.
    """

    run: Any
    calls: Sequence[LayerCall]


class VariantCost:
    """What a variant costs, counted and measured once each, at the first use of either.

    Args:
        model: Compiled, its optimizer built.
        task: Its task.
        batch_size: Of its training.
        num_trained: Returns how many numbers learn in the phase in which the most do.
        graphs: Where predictions of other networks are, and this one's may be kept.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        task: Task,
        batch_size: int,
        num_trained: Callable[[], int],
        graphs: NetworkGraphs = NOTHING_SHARED,
    ) -> None:
        self._model, self._task, self._batch_size, self._num_trained = model, task, batch_size, num_trained
        self._graphs = graphs
        self._prediction: Prediction | None = None

    @functools.cached_property
    def counted(self) -> dict[str, float]:
        """All costs but the latency."""
        return model_cost(
            self._model,
            task=self._task,
            batch_size=self._batch_size,
            calls=plain_calls(self._model) if self._graphs.structure is not None else self.prediction.calls,
            num_trained=self._num_trained(),
        )

    @property
    def prediction(self) -> Prediction:
        """The compiled prediction, traced once until the latency is measured."""
        self._prediction = self._prediction or prediction_of(self._model, task=self._task)
        return self._prediction

    @functools.cached_property
    def measured(self) -> dict[str, float]:
        """All costs, with the latency."""
        return {**self.counted, "latency_ms": latency_ms(self._runnable())}

    def _runnable(self) -> Any:
        """Returns the prediction for its last use."""
        variables = model_variables(self._model)
        if self._prediction is None and (taken := self._graphs.take("prediction", variables)):
            return taken[0]
        run, self._prediction = self.prediction.run, None
        self._graphs.keep("prediction", [run], variables)
        # Called as a function of another network's is, so that the two latencies compare.
        return bound(run)


def model_cost(
    model: keras.Model,
    *,
    task: Task,
    batch_size: int,
    calls: Sequence[LayerCall] | None = None,
    num_trained: int | None = None,
) -> dict[str, float]:
    """Returns `parameters`, `multiply_adds` of one image's prediction, and `memory_mb` (an estimate, 10^6 bytes).

    Multiply-adds are those of convolutions and dense layers, biases left out, as papers count them. The memory is
    that of a training step: activations of a batch, weights with their gradients, the optimizer's state where the model
    is compiled and its optimizer built. Neither the data nor TensorFlow itself is counted.

    Args:
        calls: Of the model's layers, for one image; None: it is traced to know them.
        num_trained: Numbers that learn in the phase in which the most do; None: as many as learn now.
    """
    calls = prediction_of(model, task=task).calls if calls is None else calls
    pixels = math.prod(task.input_shape) * len(task.inputs)
    activations = sum(call.num_outputs for call in calls if not isinstance(call.layer, _FREE)) + pixels
    trained = _num_numbers(model.trainable_variables)
    # Keras gives a model its optimizer when it is compiled.
    optimizer = getattr(model, "optimizer", None)
    remembered = _num_numbers(optimizer.variables) if optimizer is not None else 0
    # The optimizer remembers the same of each weight.
    most = trained if num_trained is None else num_trained
    learning = most + remembered * most / max(1, trained)
    # Each activation is kept until its gradient is known; the gradients are freed on the way.
    numbers = batch_size * activations + _num_numbers(model.variables) + learning
    return {
        "parameters": float(model.count_params()),
        "multiply_adds": float(sum(multiply_adds(call) for call in calls)),
        "memory_mb": numbers * BYTES_PER_NUMBER / 1e6,
    }


def prediction_of(model: keras.Model, *, task: Task) -> Prediction:
    """Returns the compiled prediction of a model; tracing it runs no kernel and changes no other graph of the model."""
    shape = (1, *task.input_shape[:2], task.stored_channels)
    calls: list[LayerCall] = []

    @tf.autograph.experimental.do_not_convert
    def predict(images: tf.Tensor) -> Any:
        return model(model_inputs(images, task=task), training=False)

    with _noted(_leaves(model), calls):
        run = tf.function(predict).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return Prediction(run=run, calls=calls)


def plain_calls(model: keras.Model) -> list[LayerCall]:
    """Returns the calls of a model's layers, for one image, as the model itself has them.

    Args:
        model: Of layers without layers inside, which nothing but the model calls.
    """
    return [
        LayerCall(layer=layer, num_inputs=_numbers_in(inputs), num_outputs=_numbers_in(outputs))
        for layer in model.layers
        for inputs, outputs in symbolic_calls(layer)
        if not isinstance(layer, layers.InputLayer)
    ]


def latency_ms(run: Any) -> float:
    """Returns the median milliseconds of predicting one image, compiled, on this machine under its present load.

    Args:
        run: The compiled prediction.
    """
    image = tf.zeros(run.structured_input_signature[0][0].shape)
    seconds = []
    for _ in range(WARM_UPS + TIMED_PREDICTIONS):
        started = time.perf_counter()
        # Read back: on a GPU a call returns before it has computed.
        keras.tree.map_structure(np.asarray, run(image))
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UPS:]) * 1e3


def multiply_adds(call: LayerCall) -> int:
    """Returns the multiply-adds of one call; 0 for layers that neither convolve nor are dense."""
    layer = call.layer
    match layer:
        case layers.SeparableConv1D() | layers.SeparableConv2D():
            positions = call.num_outputs // layer.filters
            return positions * (_size(layer.depthwise_kernel) + _size(layer.pointwise_kernel))
        case layers.DepthwiseConv1D() | layers.DepthwiseConv2D():
            return call.num_outputs * math.prod(layer.kernel.shape[:-2])
        case layers.Conv1DTranspose() | layers.Conv2DTranspose() | layers.Conv3DTranspose():
            return call.num_inputs * math.prod(layer.kernel.shape[:-1])
        case layers.Conv1D() | layers.Conv2D() | layers.Conv3D() | layers.Dense():
            # A kernel is (height, width, input channels of a group, filters), a dense one (inputs, units).
            return call.num_outputs * math.prod(layer.kernel.shape[:-1])
        case _:
            return 0


def _leaves(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in inner_layers(model) if not inner_layers(layer)]


@contextmanager
def _noted(leaves: Sequence[keras.layers.Layer], calls: list[LayerCall]) -> Iterator[None]:
    """Appends each call of the layers to a list for a while."""

    def noting(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            calls.append(LayerCall(layer=layer, num_inputs=_numbers_in(args[:1]), num_outputs=_numbers_in(outputs)))
            return outputs

        return noted

    own = [own_call(layer) for layer in leaves]
    try:
        for layer in leaves:
            replace_call(layer, noting(layer, layer.call))
        yield
    finally:
        for layer, call in zip(leaves, own, strict=True):
            restore_call(layer, call)


def _numbers_in(tensors: Any) -> int:
    # Of one image: the batch is 1. An unknown size, as behind a dynamic reshape, counts as 1.
    return sum(math.prod(size or 1 for size in tensor.shape) for tensor in keras.tree.flatten(tensors))


def _num_numbers(variables: Sequence[Any]) -> int:
    return sum(_size(variable) for variable in variables)


def _size(variable: Any) -> int:
    return math.prod(variable.shape)
