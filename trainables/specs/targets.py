"""Defines a study file's settings of a target: label column, kind, loss and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from trainables.specs.numbers import Number
from trainables.user_code import split_reference

TargetKind = Literal["classification", "multilabel", "regression", "mask"]
Mode = Literal["max", "min"]

#: The losses of each kind by Keras's names; the first is the default.
LOSSES: Mapping[TargetKind, tuple[str, ...]] = {
    "classification": (
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "kl_divergence",
        "mean_squared_error",
    ),
    "multilabel": ("binary_crossentropy", "binary_focal_crossentropy", "hinge", "mean_squared_error"),
    "regression": (
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "log_cosh",
        "poisson",
    ),
    "mask": ("categorical_crossentropy", "categorical_focal_crossentropy", "dice"),
}

#: The metrics of each kind with the direction that is better; the first is the default.
METRICS: Mapping[TargetKind, Mapping[str, Mode]] = {
    "classification": {
        "accuracy": "max",
        "top_2_accuracy": "max",
        "top_3_accuracy": "max",
        "top_5_accuracy": "max",
        "top_10_accuracy": "max",
        "f1_score": "max",
        "auc": "max",
        "precision": "max",
        "recall": "max",
    },
    "multilabel": {"accuracy": "max", "f1_score": "max", "auc": "max", "precision": "max", "recall": "max"},
    "mask": {"iou": "max", "dice": "max", "pixel_accuracy": "max"},
    "regression": {"mae": "min", "mse": "min", "rmse": "min", "mape": "min", "r2_score": "max"},
}

_OF_IMAGES = "share of all images"
_OF_VALUES = "mean over all values of all images"
_OF_PIXELS = "of all pixels of the split; a class that neither masks nor predictions have is left out"
#: What each metric is an average of, whatever the batches.
AVERAGES: Mapping[TargetKind, Mapping[str, str]] = {
    "classification": {
        "accuracy": _OF_IMAGES,
        **{f"top_{number}_accuracy": _OF_IMAGES for number in (2, 3, 5, 10)},
        "f1_score": "macro: mean over all classes; a class without a hit counts 0",
        "auc": "macro: mean over all classes, each against the rest; a class without images counts 0",
        "precision": "macro: mean over all classes; a class that is never predicted counts 0",
        "recall": "macro: mean over all classes; a class without images counts 0",
    },
    "multilabel": {
        "accuracy": "micro: share of all flags of all images, set from 0.5",
        "f1_score": "macro: mean over all flags, set from 0.5; a flag without a hit counts 0",
        "auc": "macro: mean over all flags; a flag that is never or always set counts 0",
        "precision": "micro: all flags of all images together, set from 0.5",
        "recall": "micro: all flags of all images together, set from 0.5",
    },
    "mask": {
        "iou": f"macro: mean over classes of hits / (truth + predictions - hits), {_OF_PIXELS}",
        "dice": f"macro: mean over classes of 2 hits / (truth + predictions), {_OF_PIXELS}",
        "pixel_accuracy": "micro: share of all pixels of the split that count",
    },
    "regression": {
        "mae": _OF_VALUES,
        "mse": _OF_VALUES,
        "rmse": f"root of the {_OF_VALUES}",
        "mape": f"{_OF_VALUES}, in percent",
        "r2_score": "mean of the scores of each value",
    },
}

#: The largest weight of a class.
MOST_CLASS_WEIGHT = 1e6


def _named(value: object) -> object:
    """Returns a mapping of weights with its keys as text: YAML reads the names of digits as numbers."""
    if not isinstance(value, Mapping):
        return value
    if strange := [name for name in value if isinstance(name, bool) or not isinstance(name, str | int)]:
        raise ValueError(f"expected class names, got {strange[0]!r}; write names like yes, no or 1.5 in quotes")
    return {str(name): weight for name, weight in value.items()}


ClassWeights = Annotated[dict[str, Number], BeforeValidator(_named)]

#: Names that a target may not have: reports and models use them for something else.
_TAKEN = ("loss", "image", "epoch", "trial")
_PREFIXES = ("val_", "test_", "best_")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: What a user may write instead of a name.
_OR_OWN = ", or module:name beside the study file"


class TargetSpec(BaseModel):
    """Names one thing that a model learns to predict of an image.

    Attributes:
        kind: Classification (one class an image), multilabel (any of several flags), regression (numbers)
            or mask (one class a pixel).
        column: The column or array that holds the labels; None: the one of the target's own name.
        loss: By Keras's name, or `module:name` beside the study file; None: as usual for the kind.
        weight: The share of this target's loss in the sum over all targets.
        metrics: What is reported each epoch, by names or `module:name` beside the study file; None: accuracy, of
            regression mae, of masks iou.
        columns: The columns that together hold the labels, for tables: a flag each, a class each, or a number each.
        class_weights: How much each class or flag counts in the training loss, by its name, where `space.params` has
            `class_weights: targets`.
        class_names: Of a mask: a name for each class number, from 0; empty: those of the data, else the numbers. With
            names, 255 marks pixels that do not count also beside 0 and 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: TargetKind = "classification"
    column: str | None = None
    loss: str | None = Field(default=None, examples=["mean_squared_error"])
    weight: Number = Field(default=1.0, gt=0.0, le=1e6, examples=[0.5])
    metrics: tuple[str, ...] | None = Field(default=None, examples=[["accuracy", "f1_score"]])
    columns: tuple[str, ...] = Field(default=(), examples=[["cat", "dog"]])
    class_weights: ClassWeights | None = Field(default=None, examples=["{cat: 2.0, dog: 1.0}"])
    class_names: tuple[str, ...] = Field(default=(), examples=[["background", "cell"]])

    @model_validator(mode="after")
    def _check(self) -> Self:
        losses, metrics = LOSSES[self.kind], METRICS[self.kind]
        if self.loss is not None and self.loss not in losses and not is_own(self.loss):
            raise ValueError(f"loss: a {self.kind} target has one of {', '.join(losses)}{_OR_OWN}, got {self.loss!r}")
        strange = [name for name in self.metrics or () if name not in metrics and not is_own(name)]
        if strange:
            raise ValueError(
                f"metrics: a {self.kind} target has some of {', '.join(metrics)}{_OR_OWN}, got {strange[0]!r}"
            )
        if self.columns and (
            self.column is not None or len(self.columns) < 2 or len(set(self.columns)) < len(self.columns)
        ):
            raise ValueError(
                f"columns: expected two or more different columns and no column, got {list(self.columns)} and column "
                f"{self.column!r}; a lone column is column: ..."
            )
        if self.metrics is not None and len(set(self.metrics)) != len(self.metrics):
            raise ValueError(f"metrics: expected each once, got {list(self.metrics)}")
        return self

    @model_validator(mode="after")
    def _check_class_names(self) -> Self:
        names = list(self.class_names)
        if names and self.kind != "mask":
            raise ValueError(f"class_names: belong to a mask, got {names} for a {self.kind}; remove them")
        if names and (len(names) < 2 or len(set(names)) < len(names) or not all(names)):
            raise ValueError(f"class_names: expected two or more different names, got {names}; name each class number")
        return self

    @model_validator(mode="after")
    def _check_class_weights(self) -> Self:
        weights = self.class_weights
        if weights is None:
            return self
        if self.kind == "regression":
            raise ValueError(f"class_weights: a regression target has no classes, got {dict(weights)}; remove them")
        wrong = {name: weight for name, weight in weights.items() if not 0 <= weight <= MOST_CLASS_WEIGHT}
        if wrong:
            raise ValueError(f"class_weights: expected numbers from 0 to {MOST_CLASS_WEIGHT:g}, got {wrong}")
        if not any(weights.values()):
            raise ValueError(f"class_weights: expected a weight above 0 for some class, got {dict(weights)}")
        return self

    @property
    def loss_name(self) -> str:
        """The loss, the kind's usual one where none was named."""
        return self.loss or LOSSES[self.kind][0]

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics, the kind's usual one where none were named."""
        return tuple(METRICS[self.kind])[:1] if self.metrics is None else self.metrics


def is_own(name: str) -> bool:
    """Returns whether a loss or a metric is one of a user's, `module:name`.

    >>> is_own("my_losses:focal"), is_own("mean_squared_error")
    (True, False)
    """
    return split_reference(name) is not None


def name_problem(name: str) -> str:
    """Returns the problem of a target's name, or an empty string.

    >>> name_problem("digit"), bool(name_problem("val_digit")), bool(name_problem("Digit"))
    ('', True, True)
    """
    if _NAME.fullmatch(name) and name not in _TAKEN and not name.startswith(_PREFIXES):
        return ""
    return (
        f"expected a name of small letters, digits and '_' that is none of {', '.join(_TAKEN)} and does not begin with "
        f"{', '.join(_PREFIXES)}, got {name!r}; rename it and say which column it is: column: ..."
    )


def metric_modes(targets: Mapping[str, TargetSpec]) -> dict[str, Mode]:
    """Returns every metric that a report has, with the direction that is better; validation metrics first.

    Metrics of a user's are left out: workers alone know their names. A lone target's metrics go by their own names,
    those of several begin with the target's: `val_digit_accuracy`.

    >>> metric_modes({"label": TargetSpec()})
    {'val_accuracy': 'max', 'val_loss': 'min', 'accuracy': 'max', 'loss': 'min'}
    """
    own = {
        metric_name(name, metric, num_targets=len(targets)): mode
        for name, target in targets.items()
        for metric, mode in _metrics_and_loss(target)
    }
    modes: dict[str, Mode] = own if len(targets) == 1 else {**own, "loss": "min"}
    return {f"val_{name}": mode for name, mode in modes.items()} | modes


def usual_mode(metric: str) -> Mode:
    """Returns which direction of a reported metric is better.

    >>> usual_mode("val_accuracy"), usual_mode("val_age_mae"), usual_mode("loss")
    ('max', 'min', 'min')
    """
    name = metric.rpartition("_")[2]
    return "min" if name == "loss" or METRICS["regression"].get(name) == "min" else "max"


def metric_name(target: str, metric: str, *, num_targets: int) -> str:
    """Returns the name of a target's metric in reports.

    >>> metric_name("label", "accuracy", num_targets=1), metric_name("digit", "accuracy", num_targets=2)
    ('accuracy', 'digit_accuracy')
    """
    return metric if num_targets == 1 else f"{target}_{metric}"


def is_image_share(kind: TargetKind, metric: str) -> bool:
    """Returns whether a metric is the share of images that a model is right on.

    >>> is_image_share("classification", "top_3_accuracy"), is_image_share("multilabel", "accuracy")
    (True, False)
    """
    return AVERAGES[kind].get(metric) == _OF_IMAGES


def _metrics_and_loss(target: TargetSpec) -> Iterable[tuple[str, Mode]]:
    yield from ((name, METRICS[target.kind][name]) for name in target.metric_names if not is_own(name))
    yield "loss", "min"
