"""What a study will cost, before it runs: variants are sampled, some are measured, whole studies are simulated."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.early_stopping.deciders import DECIDERS, POPULATIONS
from orchestrator.errors import StudyFailedError
from orchestrator.planning.drawn_courses import Draws, fresh_share
from orchestrator.planning.forecast import Forecast, Question, forecast
from orchestrator.planning.prices import Price, Prices, prices_of
from orchestrator.planning.sample import num_settled, sampled
from orchestrator.study.sections import Schedule
from orchestrator.study.spec import StudySpec
from search_spaces import Variant
from trainables.machine.processes import usable_cpus
from trainables.progress import OnProgress
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import DeviceSpec, TrainingSpec
from trainables.worker.cost_probe import Probe, probe_variants

#: By about which share predicted seconds were wrong on quickstart's variants.
PREDICTION_ERROR = 0.3
#: By which share a machine is slower or faster at another time, at least and at most: where others work on it, epochs
#: differed by more already as they were measured.
_LEAST_SWING, _MOST_SWING = 0.1, 0.5
#: What passes before the first trial begins, in imports of TensorFlow: Ray starts, then workers start and import it
#: side by side. In nine runs on two busy cores it was 1.8 to 3.7 imports of theirs, 2.2 in the middle.
_IMPORTS_BEFORE_TRIALS, _BEGIN_SWING = 2.3, 0.25
#: Variants that are drawn to see how often a worker meets an architecture again.
_MOST_DRAWN = 200
_NAMES = ("parameters", "multiply_adds", "memory_mb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How a number is spread over variants.

    Attributes:
        low: The lowest.
        median: The one in the middle.
        high: The highest.
    """

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> "Distribution":
        """Returns the distribution of some numbers."""
        known = list(numbers)
        return cls(low=min(known), median=float(np.median(known)), high=max(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A variant that was trained for some steps.

    Attributes:
        variant: What was trained.
        epoch_seconds: What an epoch of it takes, with all that comes with it.
        start_seconds: What its first epoch takes beside that.
        num_steps: Over how many training steps it was measured.
    """

    variant: Variant
    epoch_seconds: float
    start_seconds: float
    num_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPlan:
    """What a study will cost.

    Attributes:
        study: Its name.
        space_size: How many variants the space has; None: uncountably many.
        num_trials: How many trials the study has at most.
        max_epochs: Epochs of a trial that nothing stops.
        num_sampled: How many variants were built.
        problems: Why some of them cannot be trained, and how many for each reason, the most frequent first.
        costs: The distribution of parameters, multiply_adds and memory_mb over the others.
        epoch_seconds: Of what an epoch of theirs takes.
        measured: Those that were trained for some steps, the cheapest first.
        begin_seconds: What passes before the first trial begins, about.
        forecasts: What the study costs: on this machine, then on as many slots as the user asks about.
        others: What it would cost on this machine under the other rules of early stopping.
        notes: What the numbers leave out.
    """

    study: str
    space_size: int | None
    num_trials: int
    max_epochs: int
    num_sampled: int
    problems: Mapping[str, int]
    costs: Mapping[str, Distribution]
    epoch_seconds: Distribution
    measured: tuple[Measured, ...]
    begin_seconds: float
    forecasts: tuple[Forecast, ...]
    others: tuple[Forecast, ...]
    notes: tuple[str, ...]

    @property
    def infeasible_share(self) -> float:
        """The share of the sampled variants that cannot be trained."""
        return sum(self.problems.values()) / self.num_sampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is tried for a plan.

    Attributes:
        num_sampled: How many variants are built.
        num_measured: How many of them are trained for some steps.
        num_studies: How many studies are simulated.
        slots: How many trials run at the same time: on this machine, then as the user asks.
    """

    slots: tuple[int, ...]
    num_sampled: int = 24
    num_measured: int = 3
    num_studies: int = 200


def plan_study(
    spec: StudySpec, *, dataset: DatasetInfo, device: DeviceSpec, extent: Extent, on_progress: OnProgress
) -> CostPlan:
    """Returns what a study will cost.

    Args:
        spec: The study, with a number for each auto.
        dataset: Its images.
        device: What a trial has of a machine.
        extent: How much is tried.
        on_progress: Receives how far the process that tries variants is.

    Raises:
        StudyFailedError: If none of the sampled variants can be trained.
        DataError: If the process that tries variants crashes.
    """
    variants = sampled(spec, count=extent.num_sampled)
    probe = probe_variants(
        variants,
        num_measured=extent.num_measured,
        num_beside=_num_beside(device, slots=extent.slots[0]),
        dataset=dataset,
        training=_training_of(spec),
        device=device,
        on_progress=on_progress,
    )
    _demand_one(probe)
    num_images = dataset.num_train, dataset.num_validation
    prices = prices_of(variants, probe, num_images=num_images, repeats=spec.schedule.num_splits)
    begin = _IMPORTS_BEFORE_TRIALS * probe.import_seconds

    def asked(schedule: Schedule, slots: int) -> Forecast:
        question = _question(spec, prices, slots=slots, begin_seconds=begin)
        return forecast(replace(question, schedule=schedule), num_studies=extent.num_studies)

    own, here = spec.schedule, extent.slots[0]
    names = [name for name in DECIDERS if name not in POPULATIONS]
    plain = [own.model_copy(update={"algorithm": name, "promotion": False}) for name in names]
    good = [(price, item) for price, item in zip(prices.of_variants, probe.variants, strict=True) if not price.problem]
    return CostPlan(
        study=spec.name,
        space_size=spec.space.size,
        num_trials=spec.num_trials,
        max_epochs=spec.schedule.epochs,
        num_sampled=len(variants),
        problems=_problems(probe),
        costs={name: Distribution.of(item.cost[name] for _, item in good) for name in _NAMES},
        epoch_seconds=Distribution.of(price.epoch_seconds for price, _ in good),
        measured=_measured(probe, prices.of_variants),
        begin_seconds=begin,
        forecasts=tuple(asked(own, slots) for slots in extent.slots),
        others=tuple(asked(schedule, here) for schedule in plain if schedule != own),
        notes=tuple(_notes(spec)),
    )


def _training_of(spec: StudySpec) -> TrainingSpec:
    return TrainingSpec(
        max_epochs=spec.schedule.epochs,
        metric=spec.objective.metric,
        mode=spec.objective.mode,
        augment=spec.data.augment,
        limits=dict(spec.space.limits),
        study_dir=spec.study_dir,
        code=spec.code,
        ties=spec.objective.tie_metric,
    )


def _num_beside(device: DeviceSpec, *, slots: int) -> int:
    """Returns how many cores of this machine the other trials of a study keep busy beside one."""
    return 0 if device.gpus else max(0, min((slots - 1) * device.num_threads, usable_cpus() - 1))


def _demand_one(probe: Probe) -> None:
    """Raises StudyFailedError if no variant can be trained."""
    if probe.measured:
        return
    reasons = "; ".join(f"{reason} ({count} times)" for reason, count in _problems(probe).items())
    raise StudyFailedError(
        f"none of {len(probe.variants)} sampled variants can be trained on these images: {reasons}; change the space "
        "or its limits"
    )


def _problems(probe: Probe) -> dict[str, int]:
    return dict(Counter(item.problem for item in probe.variants if item.problem).most_common())


def _question(spec: StudySpec, prices: Prices, *, slots: int, begin_seconds: float) -> Question:
    drawn = sampled(spec, count=min(spec.num_trials, _MOST_DRAWN)) if prices.is_reusable else []
    budget = spec.storage.checkpoint_budget_gb
    draws = Draws(
        prices=prices.of_variants,
        num_trials=spec.num_trials,
        max_epochs=spec.schedule.epochs,
        metric=spec.objective.metric,
        mode=spec.objective.mode,
        cpus=spec.resources.cpus_per_trial,
        fresh_share=fresh_share(drawn, slots=slots),
        num_settled=num_settled(spec, num_sampled=len(prices.of_variants)),
        error=PREDICTION_ERROR,
        swing=min(_MOST_SWING, max(_LEAST_SWING, prices.unrest)),
    )
    return Question(
        draws=draws,
        schedule=spec.schedule,
        search=spec.search,
        slots=slots,
        seed=spec.seed,
        gpus=spec.resources.gpu_share,
        begin_seconds=begin_seconds,
        begin_swing=_BEGIN_SWING,
        budget_bytes=None if budget is None else budget * 1e9,
    )


def _measured(probe: Probe, prices: Sequence[Price]) -> tuple[Measured, ...]:
    return tuple(
        Measured(
            variant=prices[item.number].variant,
            epoch_seconds=prices[item.number].epoch_seconds,
            start_seconds=item.start_seconds,
            num_steps=item.num_steps,
        )
        for item in probe.measured
    )


def _notes(spec: StudySpec) -> Iterable[str]:
    if spec.search.target is not None:
        yield "search.target: left out, as nobody knows when a trial reaches it"
    if spec.search.algorithm not in ("random", "sobol", "grid"):
        yield f"search.algorithm: variants are drawn at random; {spec.search.algorithm} comes to prefer some"
    if spec.export.top or spec.export.ensemble:
        yield "exports come on top"
