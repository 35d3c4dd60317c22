"""Optimizer, loss and metrics of a variant."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from trainables.errors import InfeasibleError
from trainables.mixing import MixableLoss
from trainables.schedules import Horizon, learning_rate_of


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


def compile_model(model: keras.Model, params: Mapping[str, Any], *, horizon: Horizon) -> CrossEntropy:
    """Compiles the model in place with the variant's optimizer and returns its loss, which takes integer labels.

    XLA stays off: on CPU it was slower and costs seconds of compilation.
    """
    loss = CrossEntropy(params["label_smoothing"])
    model.compile(
        optimizer=make_optimizer(params, horizon=horizon),
        loss=loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return loss


def make_optimizer(params: Mapping[str, Any], *, horizon: Horizon) -> keras.optimizers.Optimizer:
    """Returns the Keras optimizer that the parameters name (see `families.training_parameters`).

    Gradients are clipped by their norm over all weights together: Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.
    With gradient accumulation, the batches that an epoch leaves over are carried into the next one, inside the
    optimizer's state; only those left over after the last epoch change nothing.

    Raises: InfeasibleError: if an epoch has fewer batches than one update gathers.
    """
    name, num_gathered = params["optimizer"], params["gradient_accumulation"]
    if name not in _OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(_OPTIMIZERS)}, got {name!r}")
    if num_gathered > horizon.steps_per_epoch:
        raise InfeasibleError(
            f"gradient_accumulation gathers {num_gathered} batches, but an epoch has only {horizon.steps_per_epoch} "
            f"of {params['batch_size']} images; use a smaller gradient_accumulation or batch_size"
        )
    settings: dict[str, Any] = {
        # AdamW decays by default, and refuses None.
        "weight_decay": params["weight_decay"] or (0.0 if name == "adamw" else None),
        "global_clipnorm": params["clip_norm"] or None,
        "gradient_accumulation_steps": num_gathered if num_gathered > 1 else None,
    }
    if params["ema_momentum"]:
        settings |= {"use_ema": True, "ema_momentum": params["ema_momentum"]}
    if name == "sgd":
        settings |= {"momentum": params["momentum"], "nesterov": params["momentum"] > 0}
    return _OPTIMIZERS[name](learning_rate_of(params, horizon), **settings)


_OPTIMIZERS: Mapping[str, type[keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "adafactor": keras.optimizers.Adafactor,
    "lamb": keras.optimizers.Lamb,
    "lion": keras.optimizers.Lion,
}
