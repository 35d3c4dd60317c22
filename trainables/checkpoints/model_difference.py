"""How a model differs from the one that a checkpoint is of, in words, by the signatures of both."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def model_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns the first difference of two models, in words; an empty text where none is seen.

    Where one was built by another version of Keras, whose settings may have other names, weights alone are compared.

    >>> one = {"keras": "3", "parameters": 8, "layers": [], "calls": [], "weights": ["8 float32"]}
    >>> model_difference(one, {**one, "parameters": 9, "weights": ["9 float32"]})
    'it had 8 parameters and has 9 now: weight 1 of 1 was 8 float32 and is 9 float32 now'
    """
    if then["keras"] == now["keras"]:
        for what in (_layer_difference(then["layers"], now["layers"]), _call_difference(then["calls"], now["calls"])):
            if what:
                return what
    place = _first_other(then["weights"], now["weights"])
    if place is None:
        return ""
    counts = ""
    if then["parameters"] != now["parameters"]:
        counts = f"it had {then['parameters']:,} parameters and has {now['parameters']:,} now: "
    before, after = (_at(entries, place) or "missing" for entries in (then["weights"], now["weights"]))
    return f"{counts}weight {place + 1} of {len(then['weights'])} was {before} and is {after} now"


def _layer_difference(then: Sequence[Any], now: Sequence[Any]) -> str:
    place = _first_other(then, now)
    if place is None:
        return ""
    before, after = _at(then, place), _at(now, place)
    where = f"layer {place + 1} of {len(then)}"
    if before is None or after is None or before["class"] != after["class"]:
        kinds = [entry["class"] if entry else "missing" for entry in (before, after)]
        return f"{where} was {kinds[0]} and is {kinds[1]} now"
    for name in dict.fromkeys([*before["settings"], *after["settings"]]):
        values = [entry["settings"].get(name) for entry in (before, after)]
        if _text(values[0]) != _text(values[1]):
            change = "is another one now"
            if not any(str(value).startswith("sha256 ") for value in values):
                change = f"was {values[0]!r} and is {values[1]!r} now"
            return f"{where}, {before['class']}: {name} {change}"
    weights = [", ".join(entry["weights"]) or "none" for entry in (before, after)]
    return f"{where}, {before['class']}: its weights were {weights[0]} and are {weights[1]} now"


def _call_difference(then: Sequence[Any], now: Sequence[Any]) -> str:
    place = _first_other(then, now)
    if place is None:
        return ""
    kind = (_at(then, place) or _at(now, place))[0]
    return f"call {place + 1} of {len(then)}, of {kind}, gets other inputs or arguments now"


def _first_other(then: Sequence[Any], now: Sequence[Any]) -> int | None:
    """Returns the first place at which two sequences differ; None where they are equal."""
    return next(
        (place for place in range(max(len(then), len(now))) if _text(_at(then, place)) != _text(_at(now, place))), None
    )


def _at(entries: Sequence[Any], place: int) -> Any:
    return entries[place] if place < len(entries) else None


def _text(value: Any) -> str:
    # As files have it: tuples are lists, and a number that is none equals itself.
    return json.dumps(value, sort_keys=True)
