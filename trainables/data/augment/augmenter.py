"""The augmenter of a training: it plans an epoch for all rows and makes batches by the plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from trainables.data.augment.amounts import colours_of, moves_of
from trainables.data.augment.draws import Draws
from trainables.data.augment.mixtures import Mixtures, mixed, mixtures_of, weighed
from trainables.data.augment.pixels import Amounts, changed, moved
from trainables.data.augment.rand_augment import drawn_amounts
from trainables.data.batches.tensors import Batch
from trainables.specs.augment import AugmentSpec
from trainables.specs.masks import UNCOUNTED

#: Returns images and labels of the given rows.
FetchRows = Callable[[tf.Tensor], tuple[tf.Tensor, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes of every row in one epoch.

    Args:
        stages: The amounts of each stage, in the order of the stages.
        mixtures: Each row's partner and shares; empty where no rows are mixed.
    """

    stages: Sequence[Amounts] = ()
    mixtures: Mixtures = field(default_factory=dict)


class Augmenter:
    """Changes training images, each as a function of (seed, epoch, image index) alone.

    Args:
        spec: The operations and their strengths.
        num_rows: Rows of the image array; a row's number is its image index.
        indices: The rows of the training split.
        image_size: (height, width).
        seed: The variant's seed.
        masks: The targets whose labels are masks, which move with their images.
    """

    def __init__(  # noqa: PLR0913 - what a training's images are
        self,
        spec: AugmentSpec,
        *,
        num_rows: int,
        indices: np.ndarray,
        image_size: tuple[int, int],
        seed: int,
        masks: Sequence[str] = (),
    ) -> None:
        self._spec = spec
        self._num_rows = num_rows
        self._indices = indices
        self._size = image_size
        self._seed = seed & 0x7FFFFFFF
        self._masks = masks

    @property
    def drawn_with(self) -> int | None:
        """The seed that its graph holds; None where nothing is drawn."""
        return self._seed if self._spec.is_active else None

    def plan(self, epoch: tf.Tensor) -> Plan:
        """Returns the plan of every row in this epoch, an int32 scalar from 1."""
        spec, size = self._spec, self._size
        if not spec.is_active:
            return Plan()
        draws = Draws(seed=self._seed, epoch=epoch, num_rows=self._num_rows)
        stages = [moves_of(spec, draws=draws, size=size)]
        if spec.rand_augment is not None:
            stages += drawn_amounts(spec.rand_augment, draws=draws, size=size)
        stages.append(colours_of(spec, draws=draws, size=size))
        mixtures = mixtures_of(spec, draws=draws, indices=self._indices, size=size)
        return Plan(stages=[stage for stage in stages if stage], mixtures=mixtures)

    def batch(self, rows: tf.Tensor, *, plan: Plan, fetch: FetchRows, weights: tf.Tensor | None = None) -> Batch:
        """Returns the images of these rows, changed by the plan; a partner is first changed by its own row's plan.

        Args:
            rows: The row numbers.
            plan: The plan of the epoch.
            fetch: Returns images and labels.
            weights: How much each row's image counts in the loss; None: all alike.
        """
        images, labels = self._changed(rows, plan=plan, fetch=fetch)
        own = None if weights is None else tf.gather(weights, rows)
        if not plan.mixtures:
            return Batch(images=images, labels=labels, sample_weights=own)
        mixtures = _rows_of(plan.mixtures, rows)
        partners, others = self._changed(mixtures["partners"], plan=plan, fetch=fetch)
        share = mixtures["weights"]
        if weights is not None and own is not None:
            share, own = weighed(share, own, tf.gather(weights, mixtures["partners"]))
        together = mixed(images, partners, mixtures)
        return Batch(images=together, labels=labels, others=others, weights=share, sample_weights=own)

    def _changed(self, rows: tf.Tensor, *, plan: Plan, fetch: FetchRows) -> tuple[tf.Tensor, Any]:
        images, labels = fetch(rows)
        for stage in plan.stages:
            amounts = _rows_of(stage, rows)
            images = changed(images, amounts)
            if self._masks:
                labels = {**labels, **{name: moved(labels[name], amounts, outside=UNCOUNTED) for name in self._masks}}
        return images, labels


def _rows_of(tensors: Mapping[str, tf.Tensor], rows: tf.Tensor) -> dict[str, tf.Tensor]:
    return {name: tf.gather(tensor, rows) for name, tensor in tensors.items()}
