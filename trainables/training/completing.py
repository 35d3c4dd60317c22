"""Builds layers of a user's model that its steps call and no prediction does, before a training begins.

Keras makes the weights of a layer when it is first called. A teacher or a projection that only `train_step` calls would
get its weights in the first step: after the optimizer was built, and never where the model is loaded for a prediction.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainables.errors import UserCodeError
from trainables.families.parts.inputs import example_data
from trainables.families.parts.keras_internals import all_layers
from trainables.specs.task import Task
from trainables.specs.worker import NO_OWN_CODE, OwnCode
from trainables.steps.compiling import compile_model
from trainables.steps.replicas import Replicas
from trainables.steps.schedules import Horizon
from trainables.steps.step_numbers import has_steps_of_users


def complete_model(
    model: keras.Model,
    params: Mapping[str, Any],
    *,
    task: Task,
    replicas: Replicas | None = None,
    own: OwnCode = NO_OWN_CODE,
) -> None:
    """Lets a model's own steps build the layers that are not built yet: each is traced once and never run.

    Compiles the model in place, which a training does anew. A model of Keras's own steps stays as it is.

    Args:
        model: Built by a call.
        params: The variant's complete parameters.
        task: Its task.
        replicas: The devices that batches are divided among; None: one.
        own: Where losses and metrics of a user's lie.

    Raises:
        UserCodeError: Layers are not built, and batches are divided among devices.
    """
    if not has_steps_of_users(model) or not (missing := _not_built(model)):
        return
    if replicas is not None and replicas.count > 1:
        raise UserCodeError(
            f"the layers {', '.join(missing)} are not built before the first step, which cannot be on {replicas.count} "
            "GPUs; call them once in your function, or use one GPU a trial"
        )
    compile_model(model, params, task=task, horizon=_horizon(params), own=own)
    specs = keras.tree.map_structure(
        lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), example_data(task, count=1)
    )
    for step in (model.train_step, model.test_step):

        def take(data: Any, step: Any = step) -> None:
            step(data)

        tf.function(take, autograph=False).get_concrete_function(specs)


def _horizon(params: Mapping[str, Any]) -> Horizon:
    # Of one update, which is never made.
    return Horizon(steps_per_epoch=params["gradient_accumulation"], max_epochs=1)


def _not_built(model: keras.Model) -> list[str]:
    return [layer.name for layer in all_layers(model) if not layer.built]
