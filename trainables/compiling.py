"""Optimizer, loss and metrics of a variant."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from trainables.mixing import MixableLoss


class CrossEntropy(MixableLoss):
    """The cross-entropy of integer labels, with label smoothing while a training step is traced.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    Args:
        smoothing: Share of the target that is spread evenly over all classes.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__(self._of_labels)
        self._smoothing = smoothing

    def _of_labels(self, labels: Any, probabilities: Any) -> Any:
        """Returns the loss of each image.

        labels: int (batch,) or (batch, 1). probabilities: float (batch, classes).
        """
        labels = keras.ops.reshape(labels, (-1,))
        if not self._smoothing:
            return keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        targets = keras.ops.one_hot(labels, probabilities.shape[-1])
        return keras.losses.categorical_crossentropy(targets, probabilities, label_smoothing=self._smoothing)

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Makes what is traced meanwhile compute the plain cross-entropy.

        Validation uses it: losses of variants with different smoothing could not be compared otherwise.
        """
        smoothing, self._smoothing = self._smoothing, 0.0
        try:
            yield
        finally:
            self._smoothing = smoothing


def compile_model(model: keras.Model, params: Mapping[str, Any]) -> CrossEntropy:
    """Compiles the model in place with the variant's optimizer and returns its loss, which takes integer labels.

    XLA stays off: on CPU it was slower and costs seconds of compilation.
    """
    loss = CrossEntropy(params["label_smoothing"])
    model.compile(
        optimizer=make_optimizer(params),
        loss=loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return loss


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
