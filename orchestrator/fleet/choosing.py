"""Which models of a fleet are listed, and in which order: conditions and a name to sort by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InputError
from orchestrator.fleet.model import FleetModel
from orchestrator.journal.records import StudyOpened
from orchestrator.pareto.choice import SIGNS, compares, is_same
from orchestrator.text import shown
from search_spaces import nearest
from trainables.reports import COSTS
from trainables.specs.targets import usual_mode

_CONDITION = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*(?P<limit>.+?)\s*")
_LEAST = (*COSTS, "train_seconds", "epochs", "best_epoch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A condition on one value of a model.

    Attributes:
        text: As the user wrote it.
        name: The value's.
        sign: One of <=, >=, <, >, = and !=.
        limit: What it is compared with, as a text.
    """

    text: str
    name: str
    sign: str
    limit: str

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a model keeps to it; one without the value does not."""
        value = values.get(self.name)
        if value is None:
            return False
        number = _number(self.limit)
        if isinstance(value, bool) or not isinstance(value, int | float) or number is None:
            is_equal = _text(value) == _text(_listed(self.limit) if isinstance(value, list | tuple) else self.limit)
        else:
            if self.sign in SIGNS:
                return compares(value, self.sign, number)
            is_equal = is_same(value, number)
        return is_equal if self.sign == "=" else self.sign == "!=" and not is_equal


def parse_where(texts: Sequence[str]) -> list[Where]:
    """Returns the conditions that texts say, such as `parameters<=1e5`; `and` joins several in one text.

    >>> [(item.name, item.sign, item.limit) for item in parse_where(["parameters<=1e5 and family = residual"])]
    [('parameters', '<=', '1e5'), ('family', '=', 'residual')]

    Args:
        texts: All of them must hold.

    Raises:
        InputError: If one says none; the message has the text and how to write it.
    """
    return [_parsed(part) for text in texts for part in re.split(r"\sand\s", text)]


def chosen(models: Sequence[FleetModel], *, where: Sequence[Where]) -> list[FleetModel]:
    """Returns the models that keep to all conditions, in their order.

    Args:
        models: Of one run.
        where: All of them must hold.

    Raises:
        InputError: If a name is known of no model, or a text is compared by size.
    """
    rows = [(model, model.values()) for model in models]
    for item in where:
        _check_name(item.name, rows=[values for _, values in rows], what=f"--where {item.text}")
        kinds = {type(values[item.name]) for _, values in rows if values.get(item.name) is not None}
        if item.sign in SIGNS and (_number(item.limit) is None or (kinds and not kinds & {int, float})):
            raise InputError(
                f"--where {item.text}: {item.sign} compares numbers, got {_compared(item, kinds)}; write a number, "
                "or = or != for anything else"
            )
    return [model for model, values in rows if all(item.holds(values) for item in where)]


def in_order(models: Sequence[FleetModel], *, by: str, header: StudyOpened) -> list[FleetModel]:
    """Returns the models, best first by one value; those without it come last, equal ones in their order.

    Larger is better for metrics that are so, smaller for losses, costs, times and epochs; other values ascend.

    Args:
        models: Of one run.
        by: The value's name.
        header: Of the run's study, whose objectives say what is better.

    Raises:
        InputError: If the name is known of no model.
    """
    rows = [(model, model.values()) for model in models]
    _check_name(by, rows=[values for _, values in rows], what=f"--sort {by}")
    known = [row for row in rows if row[1].get(by) is not None]
    missing = [row for row in rows if row[1].get(by) is None]
    is_metric = any(by in model.metrics for model in models)
    sign = -1 if is_metric and better_of(by, header=header) == "max" else 1

    def key(row: tuple[FleetModel, Mapping[str, Any]]) -> tuple[bool, float, str]:
        value = row[1][by]
        is_text = not isinstance(value, int | float)
        return is_text, 0.0 if is_text else sign * value, _text(value) if is_text else ""

    return [model for model, _ in [*sorted(known, key=key), *missing]]


def better_of(metric: str, *, header: StudyOpened) -> str:
    """Returns `max` or `min`: what is better of a metric or a cost.

    Args:
        metric: As reports have it.
        header: Of the study.
    """
    if metric in _LEAST:
        return "min"
    return {goal.metric: goal.mode for goal in header.goals}.get(metric) or usual_mode(metric)


def _parsed(text: str) -> Where:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise InputError(
            f"--where {text}: must be a name, one of <= >= < > = !=, and a value, got {shown(text)}; for example "
            "--where 'parameters<=1e5'"
        )
    sign = "=" if found["sign"] == "==" else found["sign"]
    return Where(text=text.strip(), name=found["name"], sign=sign, limit=found["limit"])


def _compared(item: Where, kinds: set[type]) -> str:
    what = "a text" if kinds == {str} else "yes or no" if kinds == {bool} else "a list"
    return f"{item.name}, which is {what}" if kinds and not kinds & {int, float} else repr(item.limit)


def _check_name(name: str, *, rows: Sequence[Mapping[str, Any]], what: str) -> None:
    known = list(dict.fromkeys(key for values in rows for key in values))
    if rows and name not in known:
        plain = [key for key in known if not key.startswith("param.")]
        hint = nearest(name, plain) or ";"
        raise InputError(f"{what}: no model has {name!r}{hint} names: {', '.join(plain)}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _listed(text: str) -> list[str]:
    """Returns the values of a list as a user writes it, with brackets or without."""
    return [part.strip() for part in text.strip("()[]").split(",")]


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(value).strip("'\"").lower()
