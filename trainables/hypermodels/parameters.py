"""Keras Tuner's HyperParameters with values of ours: it notes what a build asks for, and answers from a variant.

It overrides `_retrieve`, through which every call of `hp.Int`, `Float`, `Choice`, `Boolean` and `Fixed` passes, private
in Keras Tuner and seen in Keras Tuner 1.4; tests/trainables/hypermodels says when it is gone.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from trainables.hypermodels.asked import Asked, name_of
from trainables.user_code import is_below


class NotedParameters(keras_tuner.HyperParameters):
    """Hyperparameters whose values come from a function, each when it is first asked for.

    Args:
        answer: Returns the value of an active parameter.
        folder: The folder of the user's files; places are lines in it.
    """

    def __init__(self, answer: Callable[[Asked], Any], *, folder: Path) -> None:
        super().__init__()
        self._answer = answer
        self._folder = folder
        #: Every call, in order.
        self.asked: list[Asked] = []

    def _retrieve(self, hp: Any) -> Any:
        asked = Asked(
            name=name_of(hp.name),
            given=hp.name,
            text=_call_of(hp),
            entry=entry_of(hp),
            default=hp.default,
            place=self._place(),
            conditions=tuple((name_of(condition.name), tuple(condition.values)) for condition in hp.conditions),
            is_active=bool(self.is_active(hp)),
        )
        self.asked.append(asked)
        if asked.is_active and hp.name not in self.values:
            self.values[hp.name] = self._answer(asked)
        return super()._retrieve(hp)

    def _place(self) -> str:
        for frame in reversed(traceback.extract_stack()):
            if is_below(frame.filename, folder=self._folder):
                return f"{Path(frame.filename).relative_to(self._folder).as_posix()}:{frame.lineno}"
        return "build"


def entry_of(hp: Any) -> dict[str, Any]:
    """Returns the domain of one of Keras Tuner's hyperparameters as a study file declares it.

    A step of a logarithmic range is a factor: the values are listed. `reverse_log` changes only how often random search
    draws a value, so it is a plain range.
    """
    kind = type(hp).__name__
    if kind == "Fixed":
        return {"fixed": hp.value}
    if kind == "Boolean":
        return {"choice": [False, True]}
    if kind == "Choice":
        return {"choice": list({(type(value), value): value for value in hp.values}.values())}
    is_int = kind == "Int"
    step = None if hp.step in (None, 1) and is_int else hp.step
    if hp.min_value == hp.max_value or (step and hp.sampling == "linear" and step > hp.max_value - hp.min_value):
        return {"fixed": hp.min_value}
    if step and hp.sampling != "linear":
        values = sorted({int(value) if is_int else float(value) for value in hp.values})
        return {"choice": values}
    entry: dict[str, Any] = {"int" if is_int else "float": [hp.min_value, hp.max_value]}
    if hp.sampling == "log":
        entry["log"] = True
    if step is not None:
        entry["step"] = step
    return entry


def _call_of(hp: Any) -> str:
    """Returns a hyperparameter as the call that made it, without its default."""
    kind = type(hp).__name__
    if kind == "Fixed":
        return f"Fixed({hp.name!r}, {hp.value!r})"
    if kind == "Boolean":
        return f"Boolean({hp.name!r})"
    if kind == "Choice":
        return f"Choice({hp.name!r}, {list(hp.values)!r})"
    step = "" if hp.step in (None, 1) else f", step={hp.step!r}"
    sampling = "" if hp.sampling == "linear" else f", sampling={hp.sampling!r}"
    return f"{kind}({hp.name!r}, {hp.min_value!r}, {hp.max_value!r}{step}{sampling})"
