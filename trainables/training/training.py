"""Training of one variant: whole epochs inside one compiled function, one report an epoch; no Ray, no files."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.state_names import UNTRACKED
from trainables.data.augment.augmenter import Augmenter
from trainables.data.batches.streaming import Piece, data_errors, each_batch, each_piece
from trainables.data.batches.tensors import Batch, SplitTensors, epoch_order, gather_batch
from trainables.errors import DivergedError
from trainables.families.building import fresh_model, phases_of
from trainables.families.parts.blocks import without_penalties
from trainables.families.parts.inputs import example_data
from trainables.families.parts.phases import most_trained, phase_at
from trainables.patience import replayed, with_patience
from trainables.reports import EpochReport
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import balanced_weights
from trainables.steps.compiling import compile_model
from trainables.steps.fused_batch_norm import fuse_batch_norm
from trainables.steps.metrics import metric_values
from trainables.steps.micro_batches import GradientSums, micro_batch_size
from trainables.steps.replicas import Replicas
from trainables.steps.schedules import Horizon
from trainables.steps.step_data import step_data
from trainables.training.cost import VariantCost, check_limits
from trainables.training.dynamic_parameters import DynamicParameters, InitialState
from trainables.training.state import assign, averaged, memory_of, state_variables, untracked_variables

#: Validation keeps no gradients, so its batches may be larger than the training's.
MIN_VALIDATION_BATCH = 256


class Training:
    """One variant on its way through its epochs.

    Building is part of construction: an infeasible variant never becomes a Training.

    Args:
        variant: What to train.
        train: The training split.
        validation: The validation split; never trained on, never augmented.
        task: What the model gets and must predict.
        spec: Epochs and augmentation.
        statistics: Of the training split's pixels.
        num_micro_batches: Pieces that each batch is trained in, to need less memory.
        replicas: The devices that batches are divided among; None: there is one.

    Raises:
        InfeasibleError: If the variant cannot be built or trained on these images.
    """

    def __init__(  # noqa: PLR0913 - each from another place
        self,
        variant: Variant,
        *,
        train: SplitTensors,
        validation: SplitTensors,
        task: Task,
        spec: TrainingSpec,
        statistics: PixelStatistics | None = None,
        num_micro_batches: int = 1,
        replicas: Replicas | None = None,
    ) -> None:
        self.variant = variant
        self.spec = spec
        #: May change until the first epoch is run.
        self.num_micro_batches = num_micro_batches
        #: Reports so far, one an epoch, without gaps.
        self.history: list[EpochReport] = []
        #: Seconds since the last report that were not training, by kind.
        self.overhead_seconds: dict[str, float] = {}
        #: Called in every epoch between the last training step and validation, which changes nothing as a rule.
        self.on_trained: Callable[[], None] = lambda: None
        self._train, self._validation, self._task = train, validation, task
        self._params = FAMILIES[variant.family].with_defaults(variant.params)
        started = time.perf_counter()
        self._train_epoch: Any = None
        self._validate: Any = None
        self._sums: GradientSums | None = None
        self._untracked: Mapping[str, Any] = {}
        self._replicas = replicas or Replicas()
        self._replicas.check(self._params)
        self.model = fresh_model(
            variant, task=task, statistics=statistics, study_dir=spec.study_dir, scope=self._replicas.scope()
        )
        self._spend("build", started)
        self._phases = phases_of(FAMILIES[variant.family].module, self._params)
        self._enter_phase_of(epoch=1)
        started = time.perf_counter()
        self._cost = VariantCost(
            self.model,
            task=task,
            batch_size=self._params["batch_size"],
            num_trained=lambda: most_trained(self._phases, self.model, current=self._phase),
        )
        if spec.limits:
            check_limits(self._cost.counted, spec.limits)
        self._class_weights = _class_weights(train, self._params, task=task)
        self._augmenter = Augmenter(
            spec.augment.scaled(self._params["augment_strength"]),
            num_rows=train.images.shape[0],
            indices=train.indices,
            image_size=(train.images.shape[1], train.images.shape[2]),
            seed=variant.seed,
        )
        self._spend("build", started)

    @property
    def epoch(self) -> int:
        """The last finished epoch; 0 before the first."""
        return len(self.history)

    def epochs(self) -> Iterator[EpochReport]:
        """Yields a report after each further epoch, up to the one that says it is the last."""
        while self.epoch < self.spec.max_epochs and not (self.history and self.history[-1].is_last):
            yield self.run_epoch()

    def run_epoch(self) -> EpochReport:
        """Trains and validates one epoch and returns its report.

        Raises:
            DivergedError: If a loss is not finite afterwards.
            DataError: If a streamed image cannot be read.
            MicroBatchError: If the model cannot be trained in micro-batches, and is to be.
        """
        with data_errors(self._train, self._validation):
            return self._run_epoch()

    def _run_epoch(self) -> EpochReport:
        epoch = self.epoch + 1
        self._be_in_phase_of(epoch=epoch)
        if self._train_epoch is None:
            self._trace()
        order = epoch_order(self._train.indices, seed=self.variant.seed, epoch=epoch)
        started = time.perf_counter()
        self.model.reset_metrics()
        metrics = _floats(self._train_epoch(tf.constant(order), tf.constant(epoch)))
        self._replicas.merge_replicas(self.model)
        train_seconds = time.perf_counter() - started
        self.on_trained()
        metrics.update({f"val_{name}": value for name, value in self._validation_metrics().items()})
        _check_finite(metrics, epoch=epoch)
        cost = {}
        if epoch == 1:
            # Before the overhead is told, of which it is a part.
            started = time.perf_counter()
            cost = self._cost.measured
            self._spend("build", started)
        report = EpochReport(
            epoch=epoch,
            metrics=metrics,
            train_seconds=train_seconds,
            images_per_second=self._train.num_images / train_seconds,
            overhead_seconds=dict(self.overhead_seconds),
            is_last=epoch >= self.spec.max_epochs,
            cost=cost,
        )
        self.overhead_seconds.clear()
        report = with_patience(
            report,
            self.history,
            metric=self.spec.metric,
            mode=self.spec.mode,
            patience=self._params["patience"],
        )
        self.history.append(report)
        return report

    def estimated_memory_mb(self) -> float:
        """Returns what a training step of a whole batch needs, as `model_cost` estimates it."""
        return self._cost.counted["memory_mb"]

    def state(self) -> dict[str, np.ndarray]:
        """Returns every array that the next epoch depends on, by name; they stay as they are, and are not writable.

        On a CPU they are the variables' own memory: TensorFlow copies it before it changes what someone else holds.
        """
        return {name: memory_of(variable) for name, variable in self._state_variables().items()}

    def load_state(self, state: Mapping[str, np.ndarray], *, history: Sequence[EpochReport]) -> None:
        """Takes over the state after the epochs of `history`.

        Raises:
            CheckpointError: If the arrays are not those of this variant.
        """
        # The state is that of the last finished epoch's phase; the next epoch may then begin another one.
        self._be_in_phase_of(epoch=len(history))
        if self._train_epoch is None and any(name.startswith(UNTRACKED) for name in state):
            self._trace()
        assign(self._state_variables(), state, variant=self.variant)
        spec, patience = self.spec, self._params["patience"]
        self.history = replayed(
            history, max_epochs=spec.max_epochs, metric=spec.metric, mode=spec.mode, patience=patience
        )

    @property
    def is_reusable(self) -> bool:
        """Whether `begin_again` can make of it what a new training would be, and is worth it."""
        # Users' code may keep what no variable shows; where phases follow, another one may be traced by now.
        is_ours = not FAMILIES[self.variant.family].has_own_parameters
        is_plain = len(self._phases) == self._replicas.count == 1
        is_whole = self._train_epoch is not None and self._sums is None and not self._untracked
        return is_ours and is_plain and is_whole and self._initial.is_kept

    def begin_again(self, variant: Variant) -> None:
        """Becomes the training of another variant that differs in knobs alone (see `knobs`), at its beginning.

        Every number of it is that of a training that was built and traced for the variant.
        """
        started = time.perf_counter()
        self.variant, self._params = variant, FAMILIES[variant.family].with_defaults(variant.params)
        self._initial.restore(self._state_variables())
        self._knobs.set(self._phase.params(self._params))
        self.history = []
        self.overhead_seconds = {}
        self._spend("build", started)

    def _state_variables(self) -> dict[str, Any]:
        return {**state_variables(self.model), **self._untracked}

    def _be_in_phase_of(self, *, epoch: int) -> None:
        phase, _ = phase_at(self._phases, epoch, max_epochs=self.spec.max_epochs)
        if phase is not self._phase:
            self._enter_phase_of(epoch=epoch)

    def _enter_phase_of(self, *, epoch: int) -> None:
        """Compiles the model anew, with a fresh optimizer."""
        started = time.perf_counter()
        self._phase, num_epochs = phase_at(self._phases, epoch, max_epochs=self.spec.max_epochs)
        params = self._phase.params(self._params)
        self._phase.prepare(self.model)
        horizon = _horizon(self._train, params, max_epochs=num_epochs)
        with self._replicas.scope():
            self._losses = compile_model(self.model, params, task=self._task, horizon=horizon)
            _create_variables(self.model, self._task)
        fuse_batch_norm(self.model)
        self._knobs = DynamicParameters(self.model, params)
        self._train_epoch = self._validate = None
        self._untracked = {}
        self._initial = InitialState(self._state_variables())
        self._spend("build", started)

    def _validation_metrics(self) -> dict[str, float]:
        started = time.perf_counter()
        self.model.reset_metrics()
        with averaged(self.model):
            metrics = _floats(self._validate(tf.constant(self._validation.indices)))
        self._spend("validate", started)
        return metrics

    def _trace(self) -> None:
        started = time.perf_counter()
        rows = tf.TensorSpec([None], tf.int32)
        self._replicas.check(self._params, num_micro_batches=self.num_micro_batches)
        if self.num_micro_batches > 1:
            self._sums = GradientSums(self.model.optimizer, self.model.trainable_variables)
        # XLA is a matter of the device, not of this loop: see compile_model. Keras's fit() does without AutoGraph, too.
        train = tf.function(self._train_steps, autograph=False)
        self._train_epoch = train.get_concrete_function(rows, tf.TensorSpec([], tf.int32))
        with self._losses.without_smoothing(), without_penalties(self.model):
            self._validate = tf.function(self._validation_steps, autograph=False).get_concrete_function(rows)
        known = [*self.model.variables, *self.model.optimizer.variables]
        self._untracked = untracked_variables(
            self._train_epoch.graph,
            known=known,
            metrics=self.model.metrics_variables,
            scratch=[
                *self._knobs.variables,
                *(self._sums.variables if self._sums else ()),
                *self._replicas.copies_of(self.model),
            ],
        )
        self._spend("trace", started)

    def _train_steps(self, order: tf.Tensor, epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        plan = self._augmenter.plan(epoch)

        def make(rows: tf.Tensor) -> Batch:
            return self._augmenter.batch(rows, plan=plan, fetch=lambda some: gather_batch(self._train, some))

        def train(batch: Batch) -> None:
            with self._losses.second_labels(batch.others, batch.weights):
                self.model.train_step(step_data(batch, task=self._task, class_weights=self._class_weights))

        size, is_streamed, sums = self._params["batch_size"], self._train.is_streamed, self._sums
        if sums is None:
            do = self._replicas.train(train, optimizer=self.model.optimizer)
            each_batch(order, size=size, make=make, is_streamed=is_streamed, do=do)
            return metric_values(self.model)

        def train_piece(batch: Batch, piece: Piece) -> None:
            with sums.of_piece(piece):
                train(batch)

        piece_size = micro_batch_size(size, num_images=self._train.num_images, num_micro_batches=self.num_micro_batches)
        each_piece(order, size=size, piece_size=piece_size, make=make, is_streamed=is_streamed, do=train_piece)
        return metric_values(self.model)

    def _validation_steps(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        def make(some: tf.Tensor) -> Batch:
            images, labels = gather_batch(self._validation, some)
            return Batch(images=images, labels=labels)

        def validate(batch: Batch) -> None:
            self.model.test_step(step_data(batch, task=self._task))

        # What training cannot hold at once may be too much here as well.
        size = math.ceil(max(self._params["batch_size"], MIN_VALIDATION_BATCH) / self.num_micro_batches)
        size = self._replicas.validation_size(size, num_images=self._validation.num_images)
        do = self._replicas.validate(validate)
        each_batch(rows, size=size, make=make, is_streamed=self._validation.is_streamed, do=do)
        return metric_values(self.model)

    def _spend(self, kind: str, started: float) -> None:
        self.overhead_seconds[kind] = self.overhead_seconds.get(kind, 0.0) + time.perf_counter() - started


def _horizon(train: SplitTensors, params: Mapping[str, Any], *, max_epochs: int) -> Horizon:
    steps_per_epoch = math.ceil(train.num_images / params["batch_size"])
    return Horizon(steps_per_epoch=steps_per_epoch, max_epochs=max_epochs)


def _class_weights(train: SplitTensors, params: Mapping[str, Any], *, task: Task) -> dict[str, tf.Tensor]:
    """Returns the weights of classes by target, of classifications only; nothing where none are asked for."""
    if params["class_weights"] == "none":
        return {}
    return {
        target.name: tf.constant(
            balanced_weights(train.labels[target.name].numpy()[train.indices], num_classes=target.size)
        )
        for target in task.targets
        if target.kind == "classification"
    }


def _create_variables(model: keras.Model, task: Task) -> None:
    """Creates metric and optimizer variables now: a compiled function may not create them on a later trace."""
    model.optimizer.build(model.trainable_variables)
    inputs, labels = example_data(task, count=2)
    if task.has_one_target and type(model).__module__.partition(".")[0] == "keras":
        # No class of a user's: all that is missing are metrics, which need the shapes alone.
        outputs = np.zeros((2, task.targets[0].size), np.float32)
        model._compile_metrics.build(labels, outputs)
        model._compile_loss.build(labels, outputs)
    # Keras's own fit() calls this, too. It runs no kernel and leaves what is built, so no weight or seed changes.
    model._symbolic_build(data_batch=(inputs, labels))


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _check_finite(metrics: Mapping[str, float], *, epoch: int) -> None:
    broken = [f"{name}={value}" for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise DivergedError(
            f"{', '.join(broken)} after epoch {epoch}; a lower learning rate, or batch normalisation, usually helps"
        )
