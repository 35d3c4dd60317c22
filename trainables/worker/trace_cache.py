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

#: Trainings that a process keeps, and what they hold together.
MAX_KEPT = 32
BUDGET_BYTES = 192_000_000
#: What a training holds beside its variables, in bytes: always, for a graph of its own, and for each variable in that
#: graph. Measured on a CPU with TensorFlow 2.21: 7.5 MB for 2 convolutions and their Adam, 36 MB for 6 residual blocks
#: with squeeze-and-excitation.
_TRAINING_BYTES, _GRAPH_BYTES, _BYTES_A_VARIABLE = 500_000, 4_000_000, 125_000


class TracedTrainings:
    """The trainings that a process keeps, by what they hold; those unused for longest are dropped first.

    All of them are of one study: same images, same task, same epochs. Those of different folds have different splits.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Training] = OrderedDict()
        #: What each of them holds.
        self._bytes: dict[Hashable, int] = {}

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
            key = fold, trace_key(training.variant)
            self._kept[key], self._bytes[key] = training, held_bytes(training)
            while len(self._kept) > MAX_KEPT or (len(self._kept) > 1 and sum(self._bytes.values()) > BUDGET_BYTES):
                dropped, _ = self._kept.popitem(last=False)
                del self._bytes[dropped]

    def take(self, variant: Variant, *, fold: int = 0) -> "Training | None":
        """Returns a training of the variant at its beginning and keeps it no longer; None if none fits.

        Args:
            variant: To train.
            fold: To validate on; 0: the validation split of the study.
        """
        key = fold, trace_key(variant)
        training = self._kept.pop(key, None)
        if training is not None:
            del self._bytes[key]
            training.begin_again(variant)
        return training

    def clear(self) -> None:
        """Drops all trainings and graphs."""
        self._kept.clear()
        self._bytes.clear()
        vars(self).pop("graphs", None)


def held_bytes(training: "Training") -> int:
    """Returns the memory that goes with an ended training: its variables, the values they began with, and its graph."""
    from trainables.graphs.dynamic_parameters import num_bytes

    variables = [*training.model.variables, *training.model.optimizer.variables]
    graph = _GRAPH_BYTES + _BYTES_A_VARIABLE * len(variables) if training.has_own_graph else 0
    return _TRAINING_BYTES + graph + 2 * num_bytes(variables)


def trace_key(variant: Variant) -> Hashable:
    """Returns the key of a variant's trace; one trace serves all variants of a key.

    >>> first, second, third = (Variant(family="sequential", params=params, seed=1)
    ...                         for params in ({"dropout": 0.1}, {"dropout": 0.2}, {"dropout": 0.2, "filters": 9}))
    >>> trace_key(first) == trace_key(second), trace_key(second) == trace_key(third)
    (True, False)
    """
    params = without_dynamic(FAMILIES[variant.family].with_defaults(variant.params))
    return variant.family, variant.seed, repr(sorted(params.items()))
