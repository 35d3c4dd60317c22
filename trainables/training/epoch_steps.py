"""What the functions of one epoch do, while they are traced: batches, steps, and what the steps measured."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from trainables.data.augment.augmenter import Augmenter
from trainables.data.batches.streaming import Piece, each_batch, each_piece
from trainables.data.batches.tensors import Batch, SplitTensors, gather_batch
from trainables.specs.task import Task
from trainables.specs.worker import NO_OWN_CODE, OwnCode
from trainables.steps.losses import TaskLosses, refuse_losses_of_batches
from trainables.steps.micro_batches import GradientSums, micro_batch_size
from trainables.steps.own_compile import ModelLosses
from trainables.steps.replicas import Replicas
from trainables.steps.step_data import step_data
from trainables.steps.step_numbers import StepNumbers

#: Validation keeps no gradients, so its batches may be larger than the training's.
MIN_VALIDATION_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochData:
    """What the epochs of a training run on, the same in all phases.

    Args:
        train: The training split.
        validation: The validation split.
        task: What the model gets and must predict.
        augmenter: Varies the training images.
        class_weights: Weights of classes or flags by target; empty where all weigh the same.
        replicas: The devices that batches are divided among.
        own: Where losses and metrics of a user's lie.
    """

    train: SplitTensors
    validation: SplitTensors
    task: Task
    augmenter: Augmenter
    class_weights: Mapping[str, tf.Tensor]
    replicas: Replicas
    own: OwnCode = NO_OWN_CODE


class EpochSteps:
    """The steps of a compiled model's epochs.

    Args:
        model: Compiled.
        data: What its epochs run on.
        params: The variant's complete parameters, of the phase.
        losses: That the model was compiled with.
    """

    def __init__(
        self, model: keras.Model, data: EpochData, *, params: Mapping[str, Any], losses: TaskLosses | ModelLosses
    ) -> None:
        self._model, self._data, self._params = model, data, params
        self.losses = losses
        #: Of gradients; None where batches are trained whole.
        self.sums: GradientSums | None = None
        self._trained = StepNumbers(model, step="train_step")
        self._validated = StepNumbers(model, step="test_step")

    @property
    def returned(self) -> dict[str, list[str]]:
        """Names of numbers that a step returns and no metric object has, by step; known after a trace."""
        found = {numbers.name: numbers.returned for numbers in (self._trained, self._validated)}
        return {step: names for step, names in found.items() if names}

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that hold nothing between epochs."""
        return [*(self.sums.variables if self.sums else ()), *self._trained.variables]

    def train(self, order: tf.Tensor, epoch: tf.Tensor, *, num_micro_batches: int) -> dict[str, tf.Tensor]:
        """Trains on the rows in this order and returns what was measured."""
        model, data = self._model, self._data
        plan, sums = data.augmenter.plan(epoch), self.sums

        def make(rows: tf.Tensor) -> Batch:
            fetch = functools.partial(gather_batch, data.train)
            return data.augmenter.batch(rows, plan=plan, fetch=fetch, weights=data.train.weights)

        def train(batch: Batch) -> None:
            parts = step_data(batch, task=data.task, class_weights=data.class_weights)
            losses = self.losses
            with losses.second_labels(batch.others, batch.weights), losses.class_weights(data.class_weights):
                self._trained.step(parts)
            *_, weights = keras.utils.unpack_x_y_sample_weight(parts)
            needs = {
                "images have weights (class_weights, data.sample_weight)": weights is not None,
                "images are mixed (mixup, cutmix)": batch.others is not None,
                "several GPUs share a batch": data.replicas.count > 1,
            }
            refuse_losses_of_batches(losses.of_batches(), needs=needs, is_in_pieces=sums is not None)

        size, is_streamed = self._params["batch_size"], data.train.is_streamed
        if sums is None:
            do = data.replicas.train(train, optimizer=model.optimizer)
            each_batch(order, size=size, make=make, is_streamed=is_streamed, do=do)
            return self._trained.values()

        def train_piece(batch: Batch, piece: Piece) -> None:
            with sums.of_piece(piece):
                train(batch)

        piece_size = micro_batch_size(size, num_images=data.train.num_images, num_micro_batches=num_micro_batches)
        each_piece(order, size=size, piece_size=piece_size, make=make, is_streamed=is_streamed, do=train_piece)
        return self._trained.values()

    def validate(self, rows: tf.Tensor, *, num_micro_batches: int) -> dict[str, tf.Tensor]:
        """Validates on the rows and returns what was measured."""
        data = self._data

        def make(some: tf.Tensor) -> Batch:
            images, labels = gather_batch(data.validation, some)
            return Batch(images=images, labels=labels)

        def validate(batch: Batch) -> None:
            self._validated.step(step_data(batch, task=data.task))

        # A batch that training cannot hold at once may be too large for validation as well.
        size = math.ceil(max(self._params["batch_size"], MIN_VALIDATION_BATCH) / num_micro_batches)
        size = data.replicas.validation_size(size, num_images=data.validation.num_images)
        do = data.replicas.validate(validate)
        each_batch(rows, size=size, make=make, is_streamed=data.validation.is_streamed, do=do)
        return self._validated.values()
