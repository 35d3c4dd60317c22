"""Defines a model's image inputs and targets, as the data gives them; no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainables.specs.targets import LOSSES, METRICS, TargetKind, is_image_share, is_own, metric_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that a model predicts of an image, by a head of its own.

    Labels of a classification are int32 (count,), of multilabel uint8 (count, size), of regression float32
    (count, size). A head returns (batch, size): probabilities that sum to 1, probabilities each by itself, or numbers.
    Labels of a mask are uint8 (count, height, width), class numbers and UNCOUNTED, and its head returns (batch, height,
    width, size), probabilities that sum to 1 at each pixel.

    Args:
        name: The target's name in reports and exports.
        kind: Classification, multilabel, regression or mask.
        size: How many numbers the head returns: classes, flags or values.
        class_names: One name a class or flag; empty for regression.
        loss: By Keras's name, or a user's `module:name`.
        weight: The share of its loss in the sum over all targets.
        metrics: What is reported each epoch, names in METRICS, or a user's `module:name`.
        class_weights: The study's weights of the classes or flags, in the order of class_names; empty: none are given.
    """

    name: str
    kind: TargetKind
    size: int
    class_names: tuple[str, ...] = ()
    loss: str
    weight: float = 1.0
    metrics: tuple[str, ...]
    class_weights: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Target:
        """Returns the target that `dataclasses.asdict` described."""
        names = {key: tuple(mapping.get(key, ())) for key in ("class_names", "metrics", "class_weights")}
        return cls(**{**mapping, **names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The inputs and targets of a model.

    Args:
        input_shape: (height, width, channels) of every image.
        targets: At least one; models of several return a dictionary by target name.
        inputs: The names of the image inputs; models of several take a dictionary.
    """

    input_shape: tuple[int, int, int]
    targets: tuple[Target, ...]
    inputs: tuple[str, ...] = ("image",)

    @classmethod
    def classification(cls, *, input_shape: tuple[int, int, int], num_classes: int) -> Task:
        """Returns the most common task: one image, one of so many classes.

        >>> Task.classification(input_shape=(8, 8, 1), num_classes=10).targets[0].size
        10
        """
        target = Target(
            name="label",
            kind="classification",
            size=num_classes,
            class_names=tuple(map(str, range(num_classes))),
            loss=LOSSES["classification"][0],
            metrics=tuple(METRICS["classification"])[:1],
        )
        return cls(input_shape=input_shape, targets=(target,))

    def output_shape(self, target: Target) -> tuple[int, ...]:
        """Returns the shape of a target's output for one image.

        >>> task = Task.classification(input_shape=(8, 8, 1), num_classes=10)
        >>> task.output_shape(task.targets[0])
        (10,)
        """
        return (*self.input_shape[:2], target.size) if target.kind == "mask" else (target.size,)

    @property
    def has_one_target(self) -> bool:
        """Whether a model returns one tensor, not a dictionary."""
        return len(self.targets) == 1

    @property
    def has_own_code(self) -> bool:
        """Whether a loss or a metric of a target is one of a user's."""
        return any(is_own(name) for target in self.targets for name in (target.loss, *target.metrics))

    @property
    def image_shares(self) -> list[str]:
        """The metrics, by their names in reports without the split, that are shares of all images.

        >>> Task.classification(input_shape=(8, 8, 1), num_classes=10).image_shares
        ['accuracy']
        """
        return [
            metric_name(target.name, metric, num_targets=len(self.targets))
            for target in self.targets
            for metric in target.metrics
            if is_image_share(target.kind, metric)
        ]

    @property
    def stored_channels(self) -> int:
        """The channels of an example's images side by side, as they are stored."""
        return self.input_shape[2] * len(self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping; weights of classes are in it where there are any, as ids follow from it."""
        described = asdict(self)
        for target in described["targets"]:
            if not target["class_weights"]:
                del target["class_weights"]
        return described

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Task:
        """Returns the task that `to_json` described.

        >>> task = Task.classification(input_shape=(8, 8, 1), num_classes=2)
        >>> Task.from_json(task.to_json()) == task
        True
        """
        height, width, channels = mapping["input_shape"]
        return cls(
            input_shape=(height, width, channels),
            targets=tuple(Target.from_json(target) for target in mapping["targets"]),
            inputs=tuple(mapping["inputs"]),
        )
