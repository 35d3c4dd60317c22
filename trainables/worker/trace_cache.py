"""Keeps ended trainings for variants of the same architecture: building and tracing cost more than an epoch."""

import functools
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import without_dynamic

if TYPE_CHECKING:
    from trainables.graphs.sharing import SharedGraphs
    from trainables.training.training import Training

#: Trainings that a process keeps at most, and what they may hold together where they are more than so few.
MAX_KEPT, ALWAYS_KEPT = 32, 8
BUDGET_BYTES = 192_000_000
#: What a training holds beside its variables, in bytes, and what its graph does, by its variables. Measured on a CPU
#: with TensorFlow 2.21: 7.5 MB for 2 convolutions and their Adam, 36 MB for 6 residual blocks with
#: squeeze-and-excitation.
_TRAINING_BYTES, _GRAPH_BYTES, _BYTES_A_VARIABLE = 500_000, 4_000_000, 125_000


class TracedTrainings:
    """The trainings that a process keeps, by what they hold; those unused for longest are dropped first.

    All of them are of one study: same images, same task, same epochs. Those of different folds have different splits.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Training] = OrderedDict()
        #: What each of them holds.
        self._held: dict[Hashable, Held] = {}

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
            self._kept[key], self._held[key] = training, held_by(training)
            # One may be there: a training that went on from a checkpoint did not begin on it.
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT or (
                len(self._kept) > ALWAYS_KEPT and all_bytes(self._held.values()) > BUDGET_BYTES
            ):
                dropped, _ = self._kept.popitem(last=False)
                del self._held[dropped]

    def take(self, variant: Variant, *, fold: int = 0) -> "Training | None":
        """Returns a training of the variant at its beginning and keeps it no longer; None if none fits.

        Args:
            variant: To train.
            fold: To validate on; 0: the validation split of the study.
        """
        key = fold, trace_key(variant)
        training = self._kept.pop(key, None)
        if training is not None:
            del self._held[key]
            training.begin_again(variant)
        return training

    def clear(self) -> None:
        """Drops all trainings and graphs."""
        self._kept.clear()
        self._held.clear()
        vars(self).pop("graphs", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The memory of an ended training.

    Args:
        own_bytes: Its variables, the values they began with, and those of repeats.
        graph: Which graph it runs; others may run the same one.
        graph_bytes: What that holds.
    """

    own_bytes: int
    graph: int
    graph_bytes: int


def held_by(training: "Training") -> Held:
    """Returns what a training holds."""
    from trainables.graphs.dynamic_parameters import num_bytes

    variables = [*training.model.variables, *training.model.optimizer.variables]
    return Held(
        own_bytes=_TRAINING_BYTES + (1 + training.num_states) * num_bytes(variables),
        graph=id(training.graph),
        graph_bytes=_GRAPH_BYTES + _BYTES_A_VARIABLE * len(variables),
    )


def all_bytes(held: Iterable[Held]) -> int:
    """Returns what trainings hold together: a graph of several once.

    >>> one, other = (Held(own_bytes=size, graph=7, graph_bytes=100) for size in (10, 20))
    >>> all_bytes([one]), all_bytes([one, other])
    (110, 130)
    """
    trainings = list(held)
    graphs = {training.graph: training.graph_bytes for training in trainings}
    return sum(training.own_bytes for training in trainings) + sum(graphs.values())


def trace_key(variant: Variant) -> Hashable:
    """Returns the key of a variant's trace; one trace serves all variants of a key.

    >>> first, second, third = (Variant(family="sequential", params=params, seed=1)
    ...                         for params in ({"dropout": 0.1}, {"dropout": 0.2}, {"dropout": 0.2, "filters": 9}))
    >>> trace_key(first) == trace_key(second), trace_key(second) == trace_key(third)
    (True, False)
    """
    params = without_dynamic(FAMILIES[variant.family].with_defaults(variant.params))
    return variant.family, variant.seed, repr(sorted(params.items()))
