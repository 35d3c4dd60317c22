"""The epochs of one phase of a training as compiled functions, each called once an epoch."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainables.data.batches.tensors import SplitTensors
from trainables.errors import InfeasibleError, MicroBatchError
from trainables.families.parts.blocks import without_penalties
from trainables.families.parts.inputs import example_data
from trainables.families.parts.keras_internals import create_compiled_variables
from trainables.families.parts.phases import Phase
from trainables.graphs.dynamic_parameters import DynamicParameters, InitialState
from trainables.graphs.fused_batch_norm import fuse_batch_norm
from trainables.graphs.sharing import NOTHING_SHARED, NetworkGraphs
from trainables.specs.task import Task
from trainables.steps.compiling import compile_model
from trainables.steps.micro_batches import GradientSums
from trainables.steps.schedules import Horizon
from trainables.steps.step_numbers import is_of_keras, reset_metrics
from trainables.training.epoch_steps import EpochData, EpochSteps
from trainables.training.state import averaged, state_variables, untracked_variables


class CompiledPhase:
    """A model compiled for one phase with a fresh optimizer, and the phase's epochs as functions.

    Args:
        model: Compiled in place.
        data: What its epochs run on.
        phase: Which layers learn, and how fast.
        params: The variant's complete parameters.
        num_epochs: Epochs of the phase.
    """

    def __init__(
        self, model: keras.Model, data: EpochData, *, phase: Phase, params: Mapping[str, Any], num_epochs: int
    ) -> None:
        self.phase = phase
        self._model, self._data, self._params = model, data, phase.params(params)
        self._train_epoch: Any = None
        self._validate_all: Any = None
        self._untracked: Mapping[str, Any] = {}
        phase.prepare(model)
        horizon = _horizon(data.train, self._params, num_epochs=num_epochs)
        with data.replicas.scope():
            losses = compile_model(model, self._params, task=data.task, horizon=horizon, own=data.own)
            _create_variables(model, data.task)
        fuse_batch_norm(model)
        self._steps = EpochSteps(model, data, params=self._params, losses=losses)
        #: What a trace reads from variables.
        self.dynamic = DynamicParameters(model, self._params)
        self._initial = InitialState(self.variables)

    @property
    def variables(self) -> dict[str, Any]:
        """Every variable that the next epoch depends on, by name; those that Keras does not list only after `trace`."""
        return {**state_variables(self._model), **self._untracked}

    @property
    def returned(self) -> dict[str, list[str]]:
        """Names of numbers that a step returns and no metric object has, by step; known after `trace`."""
        return self._steps.returned

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of what is measured, by its name in a report; known after `trace`."""
        train, validation = self._train_epoch.structured_outputs, self._validate_all.structured_outputs
        named = {**{f"val_{name}": spec for name, spec in validation.items()}, **train}
        return {name: tuple(spec.shape) for name, spec in named.items()}

    @property
    def is_traced(self) -> bool:
        """Whether `trace` has made the functions."""
        return self._train_epoch is not None

    @property
    def can_begin_again(self) -> bool:
        """Whether `begin_again` gives what a new phase would be, for less time."""
        return self.is_traced and self._steps.sums is None and not self._untracked and self._initial.is_kept

    def begin_again(self, params: Mapping[str, Any]) -> None:
        """Sets all variables to what they began with, and the dynamic parameters to those of another variant."""
        self._initial.restore(self.variables)
        self.dynamic.set(self.phase.params(params))

    def trace(self, *, num_micro_batches: int, graphs: NetworkGraphs = NOTHING_SHARED) -> Any:
        """Traces the functions that `train` and `validate` call, or takes those of a network of the same structure.

        Args:
            num_micro_batches: Pieces that each batch is trained in.
            graphs: Where functions of other trainings are, and these may be kept.

        Returns:
            The graph of a training epoch.

        Raises:
            MicroBatchError: Batches are to be trained in pieces, and the model does not allow it.
            InfeasibleError: Batches are to be divided among devices, and the model does not allow it.
        """
        if num_micro_batches == 1 and (taken := graphs.take("epochs", self._named)):
            self._train_epoch, self._validate_all = taken
            return taken[0].function.graph
        self._trace(num_micro_batches=num_micro_batches)
        if self.can_begin_again:
            graphs.keep("epochs", [self._train_epoch, self._validate_all], self._named)
        return self._train_epoch.graph

    @property
    def _named(self) -> dict[str, Any]:
        """All variables that the functions read, by names that are those of every network of the structure."""
        metrics = {f"metric/{number:04d}": variable for number, variable in enumerate(self._model.metrics_variables)}
        return {**self.variables, **metrics, **self.dynamic.named}

    def _trace(self, *, num_micro_batches: int) -> None:
        model, replicas = self._model, self._data.replicas
        rows = tf.TensorSpec([None], tf.int32)
        replicas.check(self._params, num_micro_batches=num_micro_batches)
        if num_micro_batches > 1:
            self._steps.sums = GradientSums(model.optimizer, model.trainable_variables)

        def train(order: tf.Tensor, epoch: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._steps.train(order, epoch, num_micro_batches=num_micro_batches)

        def validate(rows: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._steps.validate(rows, num_micro_batches=num_micro_batches)

        # XLA is a matter of the device, not of this loop: see compile_model. Keras's fit() does without AutoGraph, too.
        compiled = tf.function(train, autograph=False)
        self._train_epoch = compiled.get_concrete_function(rows, tf.TensorSpec([], tf.int32))
        with self._steps.losses.without_smoothing(), without_penalties(model):
            self._validate_all = tf.function(validate, autograph=False).get_concrete_function(rows)
        if self.returned and num_micro_batches > 1:
            raise MicroBatchError("its steps return numbers of their own, of which a piece of a batch has only its own")
        if self.returned and replicas.count > 1:
            raise InfeasibleError(
                f"its steps return numbers of their own ({self.returned}), and each of {replicas.count} GPUs has its "
                "own of them; keep them in keras.metrics.Mean objects, or use one GPU a trial"
            )
        self._untracked = untracked_variables(
            self._train_epoch.graph,
            known=[*model.variables, *model.optimizer.variables],
            metrics=model.metrics_variables,
            scratch=[*self.dynamic.variables, *self._steps.variables, *replicas.copies_of(model)],
        )

    def train(self, order: np.ndarray, *, epoch: int) -> dict[str, float]:
        """Trains one epoch and returns its metrics.

        Args:
            order: int32 (images,), the rows of the training split in the order of this epoch.
            epoch: From 1.
        """
        reset_metrics(self._model)
        metrics = _floats(self._train_epoch(tf.constant(order), tf.constant(epoch)))
        self._data.replicas.merge_replicas(self._model)
        return metrics

    def validate(self, rows: np.ndarray) -> dict[str, float]:
        """Returns the metrics of a validation split, with the averaged weights if the optimizer keeps averages.

        Args:
            rows: int32 (images,), the rows of the split.
        """
        reset_metrics(self._model)
        with averaged(self._model):
            return _floats(self._validate_all(tf.constant(rows)))


#: Metrics whose variables Keras makes when they first count a batch, not when they are built.
_LATE_METRICS = frozenset(("f1_score", "r2_score"))


def _horizon(train: SplitTensors, params: Mapping[str, Any], *, num_epochs: int) -> Horizon:
    steps_per_epoch = math.ceil(train.num_images / params["batch_size"])
    return Horizon(steps_per_epoch=steps_per_epoch, max_epochs=num_epochs)


def _create_variables(model: keras.Model, task: Task) -> None:
    """Creates metric and optimizer variables now: a compiled function may not create them on a later trace."""
    model.optimizer.build(model.trainable_variables)
    outputs = None
    if task.has_one_target and is_of_keras(model) and not _LATE_METRICS.intersection(task.targets[0].metrics):
        # No class of a user's: all that is missing are metrics, which need the shapes alone.
        outputs = np.zeros((2, *task.output_shape(task.targets[0])), np.float32)
    create_compiled_variables(model, example_data(task, count=2), outputs=outputs)


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
