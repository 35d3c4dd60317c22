"""What this package uses of Keras that is private there, but for the optimizers' steps (`steps/fused_optimizers`).

All of it was seen in Keras 3.15. At an upgrade, tests/trainables/families/test_keras_internals.py says what is gone.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

#: The version of Keras whose private parts these are.
SEEN_IN = "3.15"


def all_layers(model: keras.layers.Layer) -> list[Any]:
    """Returns a model or layer and every layer inside it, those of nested models too, each once."""
    return list(model._flatten_layers())


def inner_layers(layer: keras.layers.Layer) -> list[Any]:
    """Returns every layer inside a layer, those of nested ones too, each once."""
    return list(layer._flatten_layers(include_self=False))


def replace_call(layer: keras.layers.Layer, call: Callable[..., Any]) -> None:
    """Makes a function what one layer does when it is called; files of the layer stay as they are."""
    # Past Keras's own __setattr__, which would track the function as state of the layer.
    object.__setattr__(layer, "call", call)


def replace_update(metric: keras.metrics.Metric, update_state: Callable[..., Any]) -> None:
    """Makes a function what one metric counts a batch by."""
    # As above.
    object.__setattr__(metric, "update_state", update_state)


def restore_call(layer: keras.layers.Layer, call: Callable[..., Any] | None) -> None:
    """Undoes `replace_call`.

    Args:
        call: What was there instead of the class's own, as `own_call` gives it.
    """
    layer.__dict__.pop("call", None)
    if call is not None:
        replace_call(layer, call)


def own_call(layer: keras.layers.Layer) -> Callable[..., Any] | None:
    """Returns the function that `replace_call` gave a layer; None if it has its class's."""
    call: Callable[..., Any] | None = layer.__dict__.get("call")
    return call


def symbolic_calls(layer: keras.layers.Layer) -> list[tuple[list[Any], list[Any]]]:
    """Returns the symbolic inputs and outputs of each call of a layer while models were made of it."""
    return [(list(node.input_tensors), list(node.outputs)) for node in layer._inbound_nodes]


def layer_and_output_of(tensor: Any) -> tuple[str, int]:
    """Returns the name of the layer whose output a symbolic tensor is, and which of its outputs."""
    return tensor._keras_history.operation.name, tensor._keras_history.tensor_index


def create_compiled_variables(model: keras.Model, data: tuple[Any, Any], *, outputs: Any = None) -> None:
    """Creates the variables of a compiled model's metrics and losses.

    Args:
        data: An example of inputs and labels.
        outputs: An example of what the model puts out, where it is one array and the model's class is Keras's own: then
            metrics need nothing but shapes, which takes less time.
    """
    if outputs is not None:
        model._compile_metrics.build(data[1], outputs)
        model._compile_loss.build(data[1], outputs)
    # Keras's own fit() calls this, too. It runs no kernel and leaves what is built, so no weight or seed changes.
    model._symbolic_build(data_batch=data)


def loss_mean(model: keras.Model) -> keras.metrics.Mean:
    """Returns the metric that a compiled model keeps the mean of its loss in."""
    mean: keras.metrics.Mean = model._loss_tracker
    return mean


def update_compiled_metrics(model: keras.Model, labels: Any, outputs: Any, weights: Any) -> None:
    """Counts a batch in the metrics that a model was compiled with, without asking them for their results."""
    if model._compile_metrics is not None:
        model._compile_metrics.update_state(labels, outputs, sample_weight=weights)


def compiled_with(model: keras.Model) -> Mapping[str, Any] | None:
    """Returns the arguments of Keras's `compile` that a model was compiled with; None if it was not."""
    return model._compile_config.config if model.compiled else None


def plain_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer itself: under mixed_float16 Keras wraps it in one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def learning_rate_or_schedule(optimizer: Any) -> Any:
    """Returns what an optimizer was given as its learning rate: a schedule itself, a number as a variable.

    `optimizer.learning_rate` would be a schedule's value in this step.
    """
    return optimizer._learning_rate


def trained_variables(optimizer: Any) -> list[Any]:
    """Returns the variables that a built optimizer trains, which its `apply` takes where it is given none."""
    return list(optimizer._trainable_variables)


def averages_of(optimizer: Any) -> Iterator[tuple[Any, Any]]:
    """Returns each trained variable with its running average, None where it has none.

    Keras itself offers only to overwrite the weights by their averages for good.
    """
    return zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)


def add_up_no_gradients(optimizer: Any) -> None:
    """Keeps an optimizer from adding up gradients over replicas, which it does even where there is one.

    Every trial would leave its graphs in the worker: findings/keras-optimizers-keep-graphs.sh.
    """
    optimizer._all_reduce_sum_gradients = list
