"""What a variant costs: parameters, multiply-adds of a prediction, memory of its training.

The model is traced once on symbolic images, and every call of every layer is noted: nested models, layers shared by
several branches and subclassed models count as what they really do.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from trainables.step_data import model_inputs
from trainables.task import Task

BYTES_PER_NUMBER = 4
#: Training keeps each activation until its gradient, of the same size, is known.
COPIES_OF_ACTIVATIONS = 2
#: Layers whose output is their input in another shape, or that do nothing but hold a place.
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


def model_cost(model: keras.Model, *, task: Task, batch_size: int, num_trained: int | None = None) -> dict[str, float]:
    """Returns `parameters`, `multiply_adds` of one image's prediction, and `memory_mb` (an estimate, 10^6 bytes).

    Multiply-adds are those of convolutions and dense layers, biases left out, as papers count them. The memory is
    that of a training step: activations of a batch with their gradients, weights with theirs, the optimizer's state
    where the model is compiled and its optimizer built. Neither the data nor TensorFlow itself is in it.

    num_trained: Weights, by numbers in them, that learn where the most do; None: as many as learn now.
    """
    calls = layer_calls(model, task=task)
    pixels = math.prod(task.input_shape) * len(task.inputs)
    activations = sum(call.num_outputs for call in calls if not isinstance(call.layer, _FREE)) + pixels
    trained = _num_numbers(model.trainable_variables)
    # Keras gives a model its optimizer when it is compiled.
    optimizer = getattr(model, "optimizer", None)
    remembered = _num_numbers(optimizer.variables) if optimizer is not None else 0
    # The optimizer remembers the same of each weight.
    most = trained if num_trained is None else num_trained
    learning = most + remembered * most / max(1, trained)
    numbers = COPIES_OF_ACTIVATIONS * batch_size * activations + _num_numbers(model.variables) + learning
    return {
        "parameters": float(model.count_params()),
        "multiply_adds": float(sum(multiply_adds(call) for call in calls)),
        "memory_mb": numbers * BYTES_PER_NUMBER / 1e6,
    }


def layer_calls(model: keras.Model, *, task: Task) -> list[LayerCall]:
    """Returns every call of a layer without sublayers in one prediction, in the order they happen."""
    calls: list[LayerCall] = []
    shape = (*task.input_shape[:2], task.stored_channels)

    @tf.autograph.experimental.do_not_convert
    def predict(images: tf.Tensor) -> Any:
        return model(model_inputs(images, task=task), training=False)

    with _noted(_leaves(model), calls):
        # A function of its own, thrown away: no kernel runs, and the graph that trains stays as it was.
        tf.function(predict).get_concrete_function(tf.TensorSpec([1, *shape], tf.float32))
    return calls


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
    return [layer for layer in model._flatten_layers(include_self=False) if not list(_sublayers(layer))]


def _sublayers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    return iter(layer._flatten_layers(include_self=False))


@contextmanager
def _noted(leaves: Sequence[keras.layers.Layer], calls: list[LayerCall]) -> Iterator[None]:
    """Lets each layer note its calls for a while."""

    def noting(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            calls.append(LayerCall(layer=layer, num_inputs=_numbers_in(args[:1]), num_outputs=_numbers_in(outputs)))
            return outputs

        return noted

    try:
        for layer in leaves:
            # Past Keras's own __setattr__, which would track the function as state of the layer.
            object.__setattr__(layer, "call", noting(layer, layer.call))
        yield
    finally:
        for layer in leaves:
            layer.__dict__.pop("call", None)


def _numbers_in(tensors: Any) -> int:
    # Of one image: the batch is 1. An unknown size, as behind a dynamic reshape, counts as 1.
    return sum(math.prod(size or 1 for size in tensor.shape) for tensor in keras.tree.flatten(tensors))


def _num_numbers(variables: Sequence[Any]) -> int:
    return sum(_size(variable) for variable in variables)


def _size(variable: Any) -> int:
    return math.prod(variable.shape)
