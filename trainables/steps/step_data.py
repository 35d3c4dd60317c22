"""A batch as Keras's training step takes it: images, targets and sample weights."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainables.data.batches.tensors import Batch
from trainables.families.parts.inputs import by_target, model_inputs
from trainables.specs.task import Task


def step_data(batch: Batch, *, task: Task, class_weights: Mapping[str, tf.Tensor] | None = None) -> tuple[Any, ...]:
    """Returns (inputs, labels), or (inputs, labels, weights of the images) where classes or images have weights.

    Weights of flags and of the classes of pixels are in the losses (`TaskLosses.class_weights`): an image has several.
    """
    data = (model_inputs(batch.images, task=task), by_target(batch.labels, task=task))
    own = batch.sample_weights
    of_classes = {
        target.name: tf.gather(class_weights[target.name], batch.labels[target.name])
        for target in task.targets
        if target.kind == "classification" and class_weights and target.name in class_weights
    }
    if not of_classes and own is None:
        return data
    weights = {}
    for target in task.targets:
        plain = tf.ones(tf.shape(batch.labels[target.name])[:1], tf.float32) if own is None else own
        found = of_classes.get(target.name)
        weights[target.name] = plain if found is None else found if own is None else found * own
    return (*data, by_target(weights, task=task))
