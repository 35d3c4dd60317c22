"""Optimizer, loss and metrics of a variant."""

from collections.abc import Mapping
from typing import Any

import keras


def compile_model(model: keras.Model, params: Mapping[str, Any]) -> None:
    """Compiles the model in place with the variant's optimizer; loss and metrics take integer labels.

    XLA stays off: on CPU it was slower and costs seconds of compilation.
    """
    model.compile(
        optimizer=make_optimizer(params),
        loss=make_loss(params),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )


def make_loss(params: Mapping[str, Any]) -> Any:
    """Returns the cross-entropy of integer labels, with the variant's label smoothing."""
    smoothing = params["label_smoothing"]
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy()

    def smoothed(labels: Any, probabilities: Any) -> Any:
        targets = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), probabilities.shape[-1])
        return keras.losses.categorical_crossentropy(targets, probabilities, label_smoothing=smoothing)

    return smoothed


def make_optimizer(params: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Returns the Keras optimizer that the parameters name (see `families.parameters.TRAINING`)."""
    learning_rate = params["learning_rate"]
    weight_decay = params["weight_decay"] or None
    match params["optimizer"]:
        case "adam":
            return keras.optimizers.Adam(learning_rate, weight_decay=weight_decay)
        case "adamw":
            return keras.optimizers.AdamW(learning_rate, weight_decay=params["weight_decay"])
        case "sgd":
            return keras.optimizers.SGD(
                learning_rate,
                momentum=params["momentum"],
                nesterov=params["momentum"] > 0,
                weight_decay=weight_decay,
            )
        case "rmsprop":
            return keras.optimizers.RMSprop(learning_rate, weight_decay=weight_decay)
        case name:
            raise ValueError(f"optimizer must be one of adam, adamw, sgd, rmsprop, got {name!r}")
