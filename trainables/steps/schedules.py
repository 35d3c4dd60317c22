"""Learning rates over a training: functions of the step alone, so that a resumed trial continues exactly."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

#: one_cycle rises for this share of the training, from 1/25 of the learning rate.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The length of a training.

    Args:
        steps_per_epoch: Batches an epoch, the ragged last one included.
        max_epochs: Epochs of a trial that is not stopped early.
    """

    steps_per_epoch: int
    max_epochs: int

    @property
    def num_steps(self) -> int:
        """All batches of the training.

        >>> Horizon(steps_per_epoch=4, max_epochs=9).num_steps
        36
        """
        return self.steps_per_epoch * self.max_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The course of a learning rate.

    Args:
        kind: One of `SCHEDULES`.
        peak: The highest learning rate.
        num_steps: Steps of the whole training.
        warmup_steps: Steps of the linear rise at the start.
        final_share: The share of the peak that remains at the end.
        num_drops: How often `step` drops.
    """

    kind: str
    peak: float
    num_steps: int
    warmup_steps: int
    final_share: float
    num_drops: int


@keras.saving.register_keras_serializable(package="convfleet", name="LearningRateCourse")
class LearningRateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises for W steps and follows a published formula for the T steps that remain.

    While it rises, step t (from 0) has peak x (t + 1) / W: Goyal et al. 2017, arXiv:1706.02677, section 2.2. After
    that it is peak x f(p), with p = (t - W) / T; f is described at the functions below. `one_cycle` has its own rise,
    so its W is 0. Optimizers count one step a batch, also where they accumulate gradients over several.
    """

    def __init__(self, **course: Any) -> None:
        super().__init__()
        self.course = Course(**course)
        #: The highest learning rate, or a variable that holds it.
        self.peak: Any = self.course.peak

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step, counted from 0."""
        course = self.course
        step = ops.cast(step, "float32")
        warmup = 0 if course.kind == "one_cycle" else course.warmup_steps
        progress = ops.clip((step - warmup) / max(1, course.num_steps - warmup), 0.0, 1.0)
        factor = _FORMULAS[course.kind](progress, course)
        if warmup:
            factor = ops.where(step < warmup, (step + 1.0) / warmup, factor)
        return self.peak * factor

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal schedule."""
        return asdict(self.course)


def learning_rate_of(params: Mapping[str, Any], horizon: Horizon) -> float | LearningRateSchedule:
    """Returns the learning rate that the parameters name: a plain number where it never changes."""
    if params["schedule"] == "constant" and not params["warmup_epochs"]:
        return float(params["learning_rate"])
    return LearningRateSchedule(
        kind=params["schedule"],
        peak=params["learning_rate"],
        num_steps=horizon.num_steps,
        warmup_steps=round(params["warmup_epochs"] * horizon.steps_per_epoch),
        final_share=params["final_learning_rate_share"],
        num_drops=params["learning_rate_drops"],
    )


def _constant(progress: Any, course: Course) -> Any:
    return ops.ones_like(progress)


def _cosine(progress: Any, course: Course) -> Any:
    """Returns s + (1 - s) (1 + cos(pi p)) / 2: Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, no restarts."""
    return _cosine_between(1.0, course.final_share, progress)


def _step(progress: Any, course: Course) -> Any:
    """Returns s^(d / n) after d of n drops, which come at p = 1/2, 3/4, 7/8...

    With n = 2 and s = 0.01 it divides by 10 after 1/2 and 3/4 of the training, as He et al. 2015, arXiv:1512.03385,
    section 4.2, do after 32,000 and 48,000 of 64,000 steps.
    """
    drops = [ops.cast(progress >= 1.0 - 0.5**drop, "float32") for drop in range(1, course.num_drops + 1)]
    return ops.power(course.final_share, sum(drops) / course.num_drops)


def _exponential(progress: Any, course: Course) -> Any:
    """Returns s^p: Keras's ExponentialDecay, with the rate that reaches s at the end."""
    return ops.power(course.final_share, progress)


def _one_cycle(progress: Any, course: Course) -> Any:
    """Returns a rise from 1/25 to 1 over the first 0.3 of the training, then a fall to s, each along half a cosine.

    Source: Smith and Topin 2017, arXiv:1708.07120, in the two-phase cosine form of PyTorch's OneCycleLR, with its
    defaults for the rise. The momentum does not change.
    """
    rise = _cosine_between(ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE)
    fall = _cosine_between(1.0, course.final_share, (progress - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE))
    return ops.where(progress < ONE_CYCLE_RISE, rise, fall)


def _cosine_between(start: float, end: float, share: Any) -> Any:
    return end + (start - end) * (1.0 + ops.cos(math.pi * share)) / 2.0


_FORMULAS: Mapping[str, Callable[[Any, Course], Any]] = {
    "constant": _constant,
    "cosine": _cosine,
    "step": _step,
    "exponential": _exponential,
    "one_cycle": _one_cycle,
}
