"""Training of one variant: one report an epoch, from functions that run whole epochs; no Ray, no files."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.checkpoints.state_names import UNTRACKED
from trainables.data.augment.augmenter import Augmenter
from trainables.data.batches.streaming import data_errors
from trainables.data.batches.tensors import SplitTensors
from trainables.data.splits.repeated import RepeatedSplit
from trainables.errors import DivergedError
from trainables.families.building import fresh_model, phases_of
from trainables.families.parts.phases import most_trained, phase_at
from trainables.families.parts.signature import signature_of
from trainables.graphs.sharing import NOTHING_SHARED, NetworkGraphs, SharedGraphs
from trainables.graphs.structure import structure_of
from trainables.graphs.widths import leave_widths_out
from trainables.own_code.loading import begin_anew
from trainables.patience import replayed, with_patience
from trainables.reports import EpochReport
from trainables.specs.pixels import PixelStatistics
from trainables.specs.targets import is_own
from trainables.specs.task import Task
from trainables.specs.worker import TrainingSpec
from trainables.steps.class_weights import class_weights_of
from trainables.steps.own_compile import unused_of
from trainables.steps.replicas import Replicas
from trainables.training.callbacks import TrainingCallbacks
from trainables.training.completing import complete_model
from trainables.training.cost import VariantCost, check_limits
from trainables.training.epoch_steps import EpochData
from trainables.training.epochs import CompiledPhase
from trainables.training.measured import check_measured
from trainables.training.repeats import Repeats, spent
from trainables.training.state import assign, memory_of_all


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What to train, on what, and how.

    Args:
        variant: What to train.
        train: The training split.
        validation: The validation split; never trained on, never augmented.
        task: What the model gets and must predict.
        spec: Epochs and augmentation.
        statistics: Of the training split's pixels.
        repeats: Further splits of the same images, each trained and validated in every epoch.
        num_micro_batches: Pieces that each batch is trained in, to need less memory.
        replicas: The devices that batches are divided among.
        graphs: Of earlier trainings of the study in this process.
        on_note: Takes what readers of the reports should know of the model.
        on_callback_note: Takes what they should know of callbacks.
    """

    variant: Variant
    train: SplitTensors
    validation: SplitTensors
    task: Task
    spec: TrainingSpec
    statistics: PixelStatistics | None = None
    repeats: Sequence[RepeatedSplit] = ()
    num_micro_batches: int = 1
    replicas: Replicas = field(default_factory=Replicas)
    graphs: SharedGraphs | None = None
    on_note: Callable[[str], None] = lambda text: None
    on_callback_note: Callable[[str], None] = lambda text: None


class Training:
    """One variant on its way through its epochs.

    Building is part of construction: an infeasible variant never becomes a Training.

    Args:
        request: What to train, on what, and how.

    Raises:
        InfeasibleError: If the variant cannot be built or trained on these images.
    """

    def __init__(self, request: TrainingRequest) -> None:
        self.variant = request.variant
        self.spec = request.spec
        #: May change until the first epoch is run.
        self.num_micro_batches = request.num_micro_batches
        #: The graph that its epochs run, its own or that of another network; None: it is not traced yet.
        self.graph: Any = None
        #: How many times it has all variables between epochs.
        self.num_states = 1 + len(request.repeats)
        #: Reports so far, one an epoch, without gaps.
        self.history: list[EpochReport] = []
        #: Seconds since the last report that were not training, by kind.
        self.overhead_seconds: dict[str, float] = {}
        #: Called in every epoch after its last training step, before validation, which changes no variable as a rule.
        self.on_trained: Callable[[], None] = lambda: None
        self._on_note = request.on_note
        family = FAMILIES[self.variant.family]
        self._params = family.with_defaults(self.variant.params)
        # Whether losses, metrics or callbacks are a user's.
        has_own_code = request.task.has_own_code or is_own(self._params["loss"]) or bool(self.spec.callbacks)
        with spent(self.overhead_seconds, "build"):
            self.model = _built_model(request, self._params, has_own_code=has_own_code)
            #: What a user's model is made of, for its checkpoints; None: of no user's.
            self.signature = signature_of(self.model) if family.has_own_parameters else None
            self._phases = phases_of(family.module, self._params)
            self._data = _epoch_data(request, self._params)
            self._compiled = self._compile_for(epoch=1)
            # Users' code may keep state in no variable; of several phases, another one may be traced by now.
            is_ours = not (family.has_own_parameters or has_own_code)
            self._is_plain = is_ours and len(self._phases) == self._data.replicas.count == 1
            self._graphs = _graphs_of(self, request) if self._is_plain else NOTHING_SHARED
            first = RepeatedSplit(train=request.train.indices, validation=request.validation.indices)
            self._repeats = Repeats(first, request.repeats, variant=self.variant)
            #: What it costs, counted and measured at the first use.
            self.cost = _cost_of(self, task=request.task)
            if self.spec.limits:
                check_limits(self.cost.counted, self.spec.limits)
            self._callbacks = _callbacks_of(self, request)

    @property
    def epoch(self) -> int:
        """The last finished epoch; 0 before the first."""
        return len(self.history)

    def epochs(self) -> Iterator[EpochReport]:
        """Yields the report of each further epoch, up to the one whose `is_last` is true."""
        while self.epoch < self.spec.max_epochs and not (self.history and self.history[-1].is_last):
            yield self.run_epoch()

    def run_epoch(self) -> EpochReport:
        """Trains and validates one epoch and returns its report.

        Raises:
            DivergedError: A loss is not finite after the epoch.
            DataError: A streamed image cannot be read.
            MicroBatchError: Batches are to be trained in pieces, and the model does not allow it.
        """
        epoch = self.epoch + 1
        self._be_in_phase_of(epoch=epoch)
        self._callbacks.begin_epoch(epoch)
        with data_errors(self._data.train, self._data.validation):
            self.trace()
            # With repeats, the state is whole only after the last of them.
            before_tests = (self.on_trained, self._callbacks.begin_test)[self._repeats.count > 1 :]
            metrics, train_seconds = self._repeats.run_epoch(
                self._compiled, epoch=epoch, seconds=self.overhead_seconds, before_tests=before_tests
            )
        _check_finite(metrics, epoch=epoch)
        cost = {}
        if epoch == 1:
            # Before the report takes the overhead, of which it is a part.
            with spent(self.overhead_seconds, "build"):
                cost = self.cost.measured
        report = EpochReport(
            epoch=epoch,
            metrics=metrics,
            train_seconds=train_seconds,
            images_per_second=self._repeats.count * self._data.train.num_images / train_seconds,
            overhead_seconds=dict(self.overhead_seconds),
            is_last=epoch >= self.spec.max_epochs,
            cost=cost,
        )
        self.overhead_seconds.clear()
        report = self._callbacks.end_epoch(report)
        report = with_patience(report, self.history, **_ending(self.spec, self._params))
        self._callbacks.end(report)
        self.history.append(report)
        return report

    def trace(self) -> None:
        """Traces the functions of this phase's epochs unless they are traced; the phase's first epoch does it, too.

        Raises:
            MicroBatchError: Batches are to be trained in pieces, and the model does not allow it.
            UserCodeError: The model's steps do not measure the objective.
        """
        if self._compiled.is_traced:
            return
        with spent(self.overhead_seconds, "trace"):
            self.graph = self._compiled.trace(num_micro_batches=self.num_micro_batches, graphs=self._graphs)
        check_measured(self._compiled, metric=self.spec.metric, on_note=self._on_note)

    def estimated_memory_mb(self) -> float:
        """Returns what a training step of a whole batch needs, as `model_cost` estimates it."""
        return self.cost.counted["memory_mb"]

    def state(self) -> dict[str, np.ndarray]:
        """Returns every array that the next epoch depends on, by name; they never change and are not writable.

        On a CPU they are the variables' own memory: TensorFlow copies memory that something else holds before a change.
        """
        return memory_of_all(self._compiled.variables) | self._repeats.named()

    def load_state(
        self, state: Mapping[str, np.ndarray], *, history: Sequence[EpochReport], changed: Collection[str] = ()
    ) -> None:
        """Sets all variables to the state after the epochs of `history`.

        Args:
            state: As `state` returned it.
            history: The reports of these epochs.
            changed: Parameters of which the state's variant had other values; all but the learning rate are in no
                state.

        Raises:
            CheckpointError: The arrays are not those of this variant.
        """
        # The state is that of the last finished epoch's phase; the next epoch may then begin another one.
        self._be_in_phase_of(epoch=len(history))
        state = self._repeats.load(state)
        if any(name.startswith(UNTRACKED) for name in state):
            self.trace()
        assign(self._compiled.variables, state, variant=self.variant)
        if history and self.spec.callbacks:
            self._callbacks.replay(history)
            # What callbacks set then, such as the learning rate, was trained on.
            assign(self._compiled.variables, state, variant=self.variant)
        if "learning_rate" in changed:
            self._compiled.dynamic.set(self._compiled.phase.params(self._params))
        self.history = replayed(history, max_epochs=self.spec.max_epochs, **_ending(self.spec, self._params))

    @property
    def is_reusable(self) -> bool:
        """Whether `begin_again` gives what a new training would be, for less time."""
        return self._is_plain and self._compiled.can_begin_again

    def begin_again(self, variant: Variant) -> None:
        """Becomes the training of another variant that differs in dynamic parameters alone, at its beginning.

        Its numbers are those of a training that was built and traced for the variant.
        """
        self.overhead_seconds = {}
        with spent(self.overhead_seconds, "build"):
            self.variant, self._params = variant, FAMILIES[variant.family].with_defaults(variant.params)
            self._compiled.begin_again(self._params)
            self._repeats.begin_again(variant)
            self.history = []

    def _be_in_phase_of(self, *, epoch: int) -> None:
        phase, _ = phase_at(self._phases, epoch, max_epochs=self.spec.max_epochs)
        if phase is not self._compiled.phase:
            with spent(self.overhead_seconds, "build"):
                self._compiled = self._compile_for(epoch=epoch)
                self._repeats.begin_phase(memory_of_all(self._compiled.variables))

    def _compile_for(self, *, epoch: int) -> CompiledPhase:
        phase, num_epochs = phase_at(self._phases, epoch, max_epochs=self.spec.max_epochs)
        return CompiledPhase(self.model, self._data, phase=phase, params=self._params, num_epochs=num_epochs)


def _built_model(request: TrainingRequest, params: Mapping[str, Any], *, has_own_code: bool) -> Any:
    spec = request.spec
    request.replicas.check(params)
    if has_own_code:
        begin_anew(spec.own_code)
    model = fresh_model(
        request.variant,
        task=request.task,
        statistics=request.statistics,
        study_dir=spec.study_dir,
        scope=request.replicas.scope(),
    )
    if text := unused_of(model, params):
        request.on_note(text)
    complete_model(model, params, task=request.task, replicas=request.replicas, own=spec.own_code)
    return model


def _epoch_data(request: TrainingRequest, params: Mapping[str, Any]) -> EpochData:
    train = request.train
    augmenter = Augmenter(
        request.spec.augment.scaled(params["augment_strength"]),
        num_rows=train.images.shape[0],
        indices=train.indices,
        image_size=(train.images.shape[1], train.images.shape[2]),
        seed=request.variant.seed,
        masks=[target.name for target in request.task.targets if target.kind == "mask"],
    )
    return EpochData(
        train=train,
        validation=request.validation,
        task=request.task,
        augmenter=augmenter,
        class_weights=class_weights_of(train, params, task=request.task),
        replicas=request.replicas,
        own=request.spec.own_code,
    )


def _cost_of(training: Training, *, task: Task) -> VariantCost:
    return VariantCost(
        training.model,
        task=task,
        batch_size=training._params["batch_size"],
        num_trained=lambda: most_trained(training._phases, training.model, current=training._compiled.phase),
        graphs=training._graphs.without_data(),
    )


def _callbacks_of(training: Training, request: TrainingRequest) -> TrainingCallbacks:
    return TrainingCallbacks(
        training.spec,
        model=training.model,
        num_steps=math.ceil(request.train.num_images / training._params["batch_size"]),
        on_note=request.on_callback_note,
    )


def _graphs_of(training: Training, request: TrainingRequest) -> NetworkGraphs:
    # In every training of this package's families, shared or not, so that all of a structure have one graph; models of
    # users' code keep Keras's own layers.
    leave_widths_out(training.model)
    structure, data = structure_of(training.model, training._params), training._data
    whole = structure and (structure, data.augmenter.drawn_with, training.spec.max_epochs)
    return NetworkGraphs(shared=request.graphs, structure=whole, data=(data.train, data.validation))


def _ending(spec: TrainingSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what ends a training before its last epoch, as the arguments of `with_patience`."""
    return {
        "metric": spec.metric,
        "mode": spec.mode,
        "patience": params["patience"],
        "min_delta": params["min_delta"],
    }


def _check_finite(metrics: Mapping[str, float], *, epoch: int) -> None:
    broken = [f"{name}={value}" for name, value in metrics.items() if not math.isfinite(value)]
    if broken:
        raise DivergedError(
            f"{', '.join(broken)} after epoch {epoch}; a lower learning rate, or batch normalisation, usually helps"
        )
