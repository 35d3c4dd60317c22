"""The metrics of predictions that any runtime made, by the very losses and metrics of a validation report."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from trainables.catalog.training import MODEL
from trainables.families.parts.inputs import by_target
from trainables.specs.task import Task
from trainables.specs.worker import OwnCode
from trainables.steps.compiling import compile_for_evaluation
from trainables.steps.metrics import metric_values

_BATCH = 256


def predicted_metrics(
    predicted: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    *,
    task: Task,
    params: Mapping[str, Any],
    own: OwnCode,
) -> dict[str, float]:
    """Returns the loss and metrics of predictions; without the losses where the model's class computes its own.

    Args:
        predicted: By target.
        labels: By target, as `task.Target` has them.
        task: The task.
        params: The variant's complete parameters.
        own: Where losses and metrics of a user's lie.
    """
    ends = {target.name: keras.Input(task.output_shape(target), name=target.name) for target in task.targets}
    # A model that predicts what it is given: Keras computes its metrics as those of any other.
    passed = {name: keras.layers.Identity(name=f"{name}_passed")(end) for name, end in ends.items()}
    model = keras.Model(by_target(ends, task=task), by_target(passed, task=task))
    has_own_loss = params["loss"] == MODEL
    compile_for_evaluation(model, task=task, params=None if has_own_loss else params, own=own)
    model.evaluate(by_target(predicted, task=task), by_target(labels, task=task), batch_size=_BATCH, verbose=0)
    values = {name: float(value) for name, value in metric_values(model).items()}
    return {name: value for name, value in values.items() if not (has_own_loss and name.endswith("loss"))}
