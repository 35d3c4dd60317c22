"""Keeps ended trainings for variants of the same architecture: building and tracing cost more than an epoch."""

import functools
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import without_dynamic

if TYPE_CHECKING:
    from trainables.graphs.sharing import SharedGraphs
    from trainables.training.training import Training

#: Trainings that a process keeps; each holds its graphs, a few MB, and twice `MAX_KEPT_BYTES` at most.
MAX_KEPT = 8


class TracedTrainings:
    """The trainings that a process keeps; the one unused for longest is dropped first.

    All of them are of one study: same images, same task, same epochs. Those of different folds have different splits.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Training] = OrderedDict()

    @functools.cached_property
    def graphs(self) -> "SharedGraphs":
        """The graphs that trainings of other architectures may run."""
        # Late, because it imports TensorFlow.
        from trainables.graphs.sharing import SharedGraphs

        return SharedGraphs()

    def __len__(self) -> int:
        """Returns how many trainings are kept."""
        return len(self._kept)

    @property
    def holds_memory(self) -> bool:
        """Whether trainings or graphs are kept, which memory can be had from."""
        return bool(self._kept) or ("graphs" in vars(self) and len(self.graphs) > 0)

    def keep(self, training: "Training", *, fold: int = 0) -> None:
        """Keeps an ended training, if it can be reused.

        Args:
            training: At its end.
            fold: That it validates on; 0: the validation split of the study.
        """
        if training.is_reusable:
            self._kept[fold, trace_key(training.variant)] = training
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)

    def take(self, variant: Variant, *, fold: int = 0) -> "Training | None":
        """Returns a training of the variant at its beginning and keeps it no longer; None if none fits.

        Args:
            variant: To train.
            fold: To validate on; 0: the validation split of the study.
        """
        training = self._kept.pop((fold, trace_key(variant)), None)
        if training is not None:
            training.begin_again(variant)
        return training

    def clear(self) -> None:
        """Drops all trainings and graphs."""
        self._kept.clear()
        vars(self).pop("graphs", None)


def trace_key(variant: Variant) -> Hashable:
    """Returns the key of a variant's trace; one trace serves all variants of a key.

    >>> first, second, third = (Variant(family="sequential", params=params, seed=1)
    ...                         for params in ({"dropout": 0.1}, {"dropout": 0.2}, {"dropout": 0.2, "filters": 9}))
    >>> trace_key(first) == trace_key(second), trace_key(second) == trace_key(third)
    (True, False)
    """
    params = without_dynamic(FAMILIES[variant.family].with_defaults(variant.params))
    return variant.family, variant.seed, repr(sorted(params.items()))
