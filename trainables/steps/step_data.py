"""A batch as Keras's training step takes it: images, targets and sample weights."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainables.data.batches.tensors import Batch
from trainables.families.parts.inputs import by_target, model_inputs
from trainables.specs.task import Task


def step_data(batch: Batch, *, task: Task, class_weights: Mapping[str, tf.Tensor] | None = None) -> tuple[Any, ...]:
    """Returns (inputs, labels), or (inputs, labels, weights of the images) where classes or images have weights."""
    data = (model_inputs(batch.images, task=task), by_target(batch.labels, task=task))
    own = batch.sample_weights
    if not class_weights and own is None:
        return data
    weights = {}
    for target in task.targets:
        labels = batch.labels[target.name]
        if class_weights and target.name in class_weights:
            of_classes = tf.gather(class_weights[target.name], labels)
            weights[target.name] = of_classes if own is None else of_classes * own
        else:
            weights[target.name] = tf.ones(tf.shape(labels)[:1], tf.float32) if own is None else own
    return (*data, by_target(weights, task=task))
