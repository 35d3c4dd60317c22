"""The layers of two models side by side: which are alike, which changed, which only one of them has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = Mapping[str, Any]
#: What a step of an alignment costs: layers of one class that differ, and a layer that the other model lacks. A changed
#: layer is dearer than a half of two lacking ones, so that equal layers are found wherever that is cheaper.
_CHANGED, _LACKING = 1.25, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value that differs.

    Attributes:
        name: The value's.
        first: Of the first model; None: it has none.
        second: Of the second model.
    """

    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPair:
    """A layer of one model beside that of the other.

    Attributes:
        kind: same, changed, removed (only the first model has it) or added (only the second one has it).
        first: The first model's layer, as `layer_rows` describes it; None: it has none.
        second: The second model's layer.
        changes: What differs of a changed layer.
    """

    kind: Literal["same", "changed", "removed", "added"]
    first: Row | None
    second: Row | None
    changes: tuple[Change, ...] = ()


def layer_pairs(first: Sequence[Row], second: Sequence[Row]) -> list[LayerPair]:
    """Returns the layers of two models, aligned in their order so that as few as possible differ.

    Layers of unlike classes are never a pair. Names do not count: Keras numbers them.

    >>> def layer(kind, output):
    ...     return {"class": kind, "output": output, "weights": [], "trainable": True, "settings": {}}
    >>> pairs = layer_pairs([layer("Conv2D", [8]), layer("Dense", [10])], [layer("Conv2D", [8]), layer("Dense", [3])])
    >>> [(pair.kind, pair.changes) for pair in pairs]
    [('same', ()), ('changed', (Change(name='output', first=[10], second=[3]),))]

    Args:
        first: As `layer_rows` describes them.
        second: Likewise.

    Source: Needleman and Wunsch 1970, "A general method applicable to the search for similarities in the amino acid
        sequence of two proteins".
    """
    costs = _costs(first, second)
    pairs: list[LayerPair] = []
    at, other = 0, 0
    while at < len(first) or other < len(second):
        here = costs[at][other]
        if at < len(first) and other < len(second):
            step = _pair_cost(first[at], second[other])
            if step is not None and here == step + costs[at + 1][other + 1]:
                pairs.append(_pair(first[at], second[other]))
                at, other = at + 1, other + 1
                continue
        if at < len(first) and here == _LACKING + costs[at + 1][other]:
            pairs.append(LayerPair(kind="removed", first=first[at], second=None))
            at += 1
        else:
            pairs.append(LayerPair(kind="added", first=None, second=second[other]))
            other += 1
    return pairs


def _costs(first: Sequence[Row], second: Sequence[Row]) -> list[list[float]]:
    """Returns the least cost of aligning what follows each place of the one with what follows each of the other."""
    costs = [[0.0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for at in range(len(first), -1, -1):
        for other in range(len(second), -1, -1):
            ways = []
            if at < len(first):
                ways.append(_LACKING + costs[at + 1][other])
            if other < len(second):
                ways.append(_LACKING + costs[at][other + 1])
            if at < len(first) and other < len(second):
                step = _pair_cost(first[at], second[other])
                if step is not None:
                    ways.append(step + costs[at + 1][other + 1])
            costs[at][other] = min(ways, default=0.0)
    return costs


def _pair_cost(first: Row, second: Row) -> float | None:
    """Returns what it costs to make two layers a pair; None: they cannot be one."""
    if first["class"] != second["class"]:
        return None
    return 0.0 if all(first[key] == second[key] for key in _COMPARED) else _CHANGED


_COMPARED = ("output", "weights", "trainable", "settings")


def _pair(first: Row, second: Row) -> LayerPair:
    changes = [
        Change(name=key, first=first[key], second=second[key])
        for key in ("output", "weights", "trainable")
        if first[key] != second[key]
    ]
    names = dict.fromkeys([*first["settings"], *second["settings"]])
    values = {name: (first["settings"].get(name), second["settings"].get(name)) for name in names}
    changes += [Change(name=name, first=one, second=other) for name, (one, other) in values.items() if one != other]
    return LayerPair(kind="changed" if changes else "same", first=first, second=second, changes=tuple(changes))
