"""Compiles a model with the optimizer, losses and metrics of its variant."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainables.catalog.training import MODEL, TARGETS
from trainables.errors import InfeasibleError
from trainables.families.parts.keras_internals import add_up_no_gradients, plain_optimizer
from trainables.specs.task import Task
from trainables.specs.worker import NO_OWN_CODE, OwnCode
from trainables.steps.fused_optimizers import fuse_steps
from trainables.steps.losses import TaskLosses, with_loss
from trainables.steps.metrics import MeanLoss, task_metrics
from trainables.steps.own_compile import ModelLosses, compile_by_its_class, own_loss_and_metrics, own_optimizer
from trainables.steps.schedules import Horizon, learning_rate_of


def compile_model(
    model: keras.Model, params: Mapping[str, Any], *, task: Task, horizon: Horizon, own: OwnCode = NO_OWN_CODE
) -> TaskLosses | ModelLosses:
    """Compiles the model in place with the variant's optimizer and returns its losses.

    XLA stays off: on a CPU it is slower and its compilation takes seconds.

    Args:
        params: The variant's complete parameters.
        task: Its task.
        horizon: The length of its training.
        own: Where losses and metrics of a user's lie.
    """
    if params["optimizer"] == MODEL:
        optimizer = own_optimizer(model)
        _spare_replicas(optimizer)
    else:
        optimizer = make_optimizer(params, horizon=horizon)
    losses, arguments = _losses_of(model, params, task=task, own=own)
    compile_by_its_class(model, {"optimizer": optimizer, "jit_compile": False, **arguments})
    return losses


def compile_for_evaluation(
    model: keras.Model, *, task: Task, params: Mapping[str, Any] | None = None, own: OwnCode = NO_OWN_CODE
) -> None:
    """Compiles the model in place so that `evaluate` returns the numbers of a validation report.

    Args:
        task: Its task.
        params: The variant's complete parameters; None: with the losses of the task.
        own: Where losses and metrics of a user's lie.
    """
    _, arguments = _losses_of(model, {**(params or {"loss": TARGETS}), "label_smoothing": 0.0}, task=task, own=own)
    compile_by_its_class(model, {"optimizer": keras.optimizers.SGD(), **arguments})


def _losses_of(
    model: keras.Model, params: Mapping[str, Any], *, task: Task, own: OwnCode
) -> tuple[TaskLosses | ModelLosses, dict[str, Any]]:
    """Returns the losses, and the arguments of Keras's compile for them and all metrics."""
    metrics = task_metrics(task, own=own)
    if params["loss"] == MODEL:
        return ModelLosses(), own_loss_and_metrics(model, task=task, metrics=metrics)
    losses = TaskLosses(with_loss(task, params["loss"]), smoothing=params["label_smoothing"], own=own)
    return losses, loss_and_metrics(task, losses, metrics=metrics)


def loss_and_metrics(task: Task, losses: TaskLosses, *, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the arguments of Keras's compile for losses, weights of losses and metrics.

    Args:
        metrics: By target; None: those of the task.
    """
    metrics = task_metrics(task) if metrics is None else metrics
    weights = {target.name: target.weight for target in task.targets}
    arguments = compile_arguments(task, losses.by_target, metrics, weights)
    if not task.has_one_target:
        # Weighted, so that weights of classes count as they do in the loss itself.
        arguments["weighted_metrics"] = {name: [MeanLoss(loss)] for name, loss in losses.by_target.items()}
    return arguments


def compile_arguments(
    task: Task, losses: Mapping[str, Any], metrics: Mapping[str, Any], weights: Mapping[str, float]
) -> dict[str, Any]:
    """Returns the arguments of `Model.compile` for a task's losses, metrics and weights of losses, by target."""
    if not task.has_one_target:
        return {"loss": dict(losses), "metrics": dict(metrics), "loss_weights": dict(weights)}
    (name,) = losses
    return {"loss": losses[name], "metrics": metrics[name]}


def make_optimizer(params: Mapping[str, Any], *, horizon: Horizon) -> keras.optimizers.Optimizer:
    """Returns the Keras optimizer that the parameters name (see `trainables.catalog.training`).

    Gradients are clipped by their norm over all weights together (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1),
    or number by number, as by Keras's `clipvalue`.
    With gradient accumulation, the optimizer's state carries the batches that an epoch leaves over into the next epoch;
    batches left over after the last epoch change no weight.

    Raises:
        InfeasibleError: If an epoch has fewer batches than one update accumulates, or gradients would be clipped in two
            ways.
    """
    name, num_gathered = params["optimizer"], params["gradient_accumulation"]
    if name not in _OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(_OPTIMIZERS)}, got {name!r}")
    if num_gathered > horizon.steps_per_epoch:
        raise InfeasibleError(
            f"gradient_accumulation gathers {num_gathered} batches, but an epoch has only {horizon.steps_per_epoch} "
            f"of {params['batch_size']} images; use a smaller gradient_accumulation or batch_size"
        )
    if params["clip_norm"] and params["clip_value"]:
        raise InfeasibleError(
            f"clip_norm {params['clip_norm']:g} and clip_value {params['clip_value']:g} clip the same gradients, and "
            "Keras takes one of them; set one of the two to 0"
        )
    settings: dict[str, Any] = {
        # AdamW decays by default, and refuses None.
        "weight_decay": params["weight_decay"] or (0.0 if name == "adamw" else None),
        "global_clipnorm": params["clip_norm"] or None,
        "clipvalue": params["clip_value"] or None,
        "gradient_accumulation_steps": num_gathered if num_gathered > 1 else None,
    }
    if params["ema_momentum"]:
        settings |= {"use_ema": True, "ema_momentum": params["ema_momentum"]}
    if name == "sgd":
        settings |= {"momentum": params["momentum"], "nesterov": params["nesterov"] and params["momentum"] > 0}
    optimizer = _OPTIMIZERS[name](learning_rate_of(params, horizon), **settings)
    _spare_replicas(optimizer)
    if not tf.distribute.has_strategy():
        fuse_steps(optimizer)
    return optimizer


def _spare_replicas(optimizer: Any) -> None:
    if not tf.distribute.has_strategy():
        add_up_no_gradients(plain_optimizer(optimizer))


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
