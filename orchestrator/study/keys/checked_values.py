"""Checks of single values of a study file, as pydantic runs them."""

from typing import Literal

from pydantic import ValidationInfo

from orchestrator.pareto.choice import FRONT, KNEE, RuleError, parse_rule
from trainables.files.uris import uri_problem


def of_their_own(value: dict[str, float]) -> dict[str, float]:
    """Returns resources that Ray does not count by itself.

    Raises:
        ValueError: It is none.
    """
    keys = {"CPU": "cpus_per_trial", "GPU": "gpus_per_trial", "memory": "cpus_per_trial, as memory goes with CPUs"}
    for name, key in keys.items():
        if name in value:
            raise ValueError(f"{name} is none of the cluster's own resources; use {key}")
    return value


def none_or_several(value: int) -> int:
    """Returns a number of replicates that has an interval, or none.

    Raises:
        ValueError: It is none.
    """
    if value == 1:
        raise ValueError("must be 0 or at least 2, as one replicate has no interval")
    return value


def beside_money(value: float | None, info: ValidationInfo) -> float | None:
    """Returns what machines cost, which a budget of money needs.

    Raises:
        ValueError: It is none.
    """
    if value is None and (money := info.data.get("money")) is not None:
        fix = f"say what the machines cost an hour, or drop money ({money:g})"
        raise ValueError(f"is required beside money, got nothing; {fix}")
    return value


def first_trials(value: object) -> object:
    """Returns what the first trials try.

    Raises:
        ValueError: It is none.
    """
    if value in ("auto", "portfolio", "none"):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value):
        return tuple(value)
    raise ValueError("must be auto, portfolio, none, or a list of values by parameter")


def by_parameter(value: object) -> object:
    """Returns a mapping by parameter.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    raise ValueError("must be a mapping of values by parameter")


def decided_number(value: int | Literal["auto"], name: str) -> int:
    """Returns a number that the images have decided.

    Raises:
        ValueError: It is none.
    """
    if value == "auto":
        raise ValueError(f"schedule.{name} is auto: the images are not counted yet")
    return value


def choice_rule(value: object) -> object:
    """Returns a rule of which models are exported.

    Raises:
        ValueError: It is none.
    """
    if value in (FRONT, KNEE) or not isinstance(value, str):
        return value
    try:
        parse_rule(value)
    except RuleError as exc:
        raise ValueError(f"must be {FRONT}, {KNEE} or a rule: it {exc}") from exc
    return value


def storage_uri(value: str) -> str:
    """Returns the URI of a storage.

    Raises:
        ValueError: It is none.
    """
    if problem := uri_problem(value):
        raise ValueError(problem)
    return value
