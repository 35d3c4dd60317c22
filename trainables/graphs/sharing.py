"""Runs one traced graph on the variables of several networks.

A graph reads its variables through handles, and where no number of a layer's width is in it, it is that of every
network of one structure (see `structure`). TensorFlow prepares it anew for each shape of its variables, as it does for
a fresh trace.

`_call_flat` is private in TensorFlow and seen in TensorFlow 2.21; tests/trainables/graphs/test_sharing.py sees it go.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from trainables.graphs.dynamic_parameters import MAX_KEPT_BYTES, num_bytes

#: Keys whose functions a process keeps; each holds a few MB, and `MAX_KEPT_BYTES` of variables at most.
MAX_SHARED = 16
#: Networks that run one graph: TensorFlow keeps what it prepared for each until the graph goes.
MAX_USES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFunction:
    """A function that was traced on one network, for the variables of another one.

    Args:
        function: TensorFlow's concrete function.
        captured: What it reads beside its arguments.
    """

    function: Any
    captured: Sequence[Any]

    def __call__(self, *args: tf.Tensor) -> Any:
        """Returns what the function returns."""
        return self.function._call_flat(list(args), captured_inputs=list(self.captured))

    @property
    def structured_outputs(self) -> Any:
        """What the function returns, as specifications of tensors."""
        return self.function.structured_outputs

    @property
    def structured_input_signature(self) -> Any:
        """What the function takes, as specifications of tensors."""
        return self.function.structured_input_signature


def bound(function: Any) -> BoundFunction:
    """Returns a concrete function on the variables that it was traced on."""
    return BoundFunction(function=function, captured=function.captured_inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphKey:
    """What functions follow from, beside their variables.

    Args:
        kind: Which functions they are.
        structure: Of the network and its training.
        data: The splits that they read; None: no image.
    """

    kind: str
    structure: Hashable
    data: Hashable = None


@dataclass(slots=True, kw_only=True)
class _Kept:
    #: Each function, with the name of a variable, or another tensor, for everything that it reads.
    functions: list[tuple[Any, list[Any]]]
    #: Types and numbers of axes of all variables by name.
    variables: Mapping[str, Any]
    num_uses: int = 0


class SharedGraphs:
    """The functions that a process has traced, for further networks of their structures; the longest unused go first.

    All of them are of one study: same task, same augmentation.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[GraphKey, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """Returns the number of keys whose functions are kept."""
        return len(self._kept)

    def keep(self, key: GraphKey, functions: Sequence[Any], variables: Mapping[str, Any]) -> None:
        """Keeps functions, unless they read a variable that is not among those named, or these are large.

        Functions of other images go: a process opens one data set at a time.

        Args:
            key: What the functions follow from.
            functions: TensorFlow's concrete functions.
            variables: The variables that they were traced on, by a name that another network's have as well.
        """
        if num_bytes(variables.values()) > MAX_KEPT_BYTES:
            return
        if key.data is not None:
            for other in [other for other in self._kept if other.data not in (None, key.data)]:
                del self._kept[other]
        names = {id(_handle(variable)): name for name, variable in variables.items()}
        places = [[names.get(id(tensor), tensor) for tensor in function.captured_inputs] for function in functions]
        if any(not isinstance(place, str) and place.dtype == tf.resource for found in places for place in found):
            return
        self._kept[key] = _Kept(functions=list(zip(functions, places, strict=True)), variables=_kinds(variables))
        if len(self._kept) > MAX_SHARED:
            self._kept.popitem(last=False)

    def take(self, key: GraphKey, variables: Mapping[str, Any]) -> list[BoundFunction] | None:
        """Returns the functions of a key on other variables; None if none are kept, or for variables of other names.

        Args:
            key: As given to `keep`.
            variables: By the names given to `keep`.
        """
        kept = self._kept.get(key)
        if kept is None or kept.variables != _kinds(variables):
            return None
        self._kept.move_to_end(key)
        kept.num_uses += 1
        if kept.num_uses >= MAX_USES:
            del self._kept[key]
        return [
            BoundFunction(
                function=function,
                captured=[_handle(variables[place]) if isinstance(place, str) else place for place in places],
            )
            for function, places in kept.functions
        ]

    def clear(self) -> None:
        """Drops all functions."""
        self._kept.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGraphs:
    """The shared graphs of one network.

    Args:
        shared: Of the process; None: this network shares none.
        structure: What the network's graphs follow from; None: nobody knows, and it shares none.
        data: The splits that they read.
    """

    shared: SharedGraphs | None = None
    structure: Hashable | None = None
    data: Hashable = None

    def without_data(self) -> "NetworkGraphs":
        """Returns those that read no split."""
        return replace(self, data=None)

    def take(self, kind: str, variables: Mapping[str, Any]) -> list[BoundFunction] | None:
        """Returns the functions of a kind, as `SharedGraphs.take`."""
        if self.shared is None or self.structure is None:
            return None
        return self.shared.take(GraphKey(kind=kind, structure=self.structure, data=self.data), variables)

    def keep(self, kind: str, functions: Sequence[Any], variables: Mapping[str, Any]) -> None:
        """Keeps functions of a kind, as `SharedGraphs.keep`."""
        if self.shared is not None and self.structure is not None:
            self.shared.keep(GraphKey(kind=kind, structure=self.structure, data=self.data), functions, variables)


NOTHING_SHARED = NetworkGraphs()


def _handle(variable: Any) -> Any:
    plain = variable if isinstance(variable, tf.Variable) else variable.value
    return plain.handle


def _kinds(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (str(variable.dtype), len(variable.shape)) for name, variable in variables.items()}
