"""Pydantic's findings about a study file, in the words of this package."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestrator.study.checks import is_follow_up
from orchestrator.text import shown
from search_spaces import Problem, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Returns pydantic's findings, one a place, as problems with what was received and how to fix it."""
    problems: dict[str, Problem] = {}
    items = error.errors(include_url=False)
    for item in items:
        if is_follow_up(item, items):
            continue
        keys = _keys_of(item, model)
        path = ".".join(keys) or "study"
        for message in _messages(item, keys, model):
            inner = path if item["type"] != "value_error" else _inner_path(path, message)
            text = message if inner == path else message.partition(": ")[2]
            # A union is tried branch by branch; one line a place is enough.
            problems.setdefault(inner, Problem(path=inner, message=text))
    return list(problems.values())


def _keys_of(item: "ErrorDetails", model: type[BaseModel]) -> list[str]:
    """Returns the keys of the study file that a finding is about, without pydantic's names of union branches."""
    keys: list[str] = []
    current: Any = model
    is_named = False
    for part in item["loc"]:
        if isinstance(part, int):
            keys[-1:] = [f"{keys[-1]}[{part}]"] if keys else [str(part)]
            continue
        if is_named:
            # A name that the user gave, such as a target's; what it names is described by `current`.
            keys.append(str(part))
            is_named = False
            continue
        fields = getattr(current, "model_fields", {})
        if fields and part not in fields and item["type"] != "extra_forbidden":
            continue
        if not fields and keys:
            continue
        keys.append(str(part))
        is_named = part in fields and get_origin(fields[part].annotation) is dict
        current = _model_of(fields[part].annotation) if part in fields else None
    return keys


def _model_of(annotation: Any) -> Any:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _messages(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Returns what to say of one finding: usually one message, several where a section checked itself."""
    received = f"got {shown(item['input'])}"
    example = _example(keys, model)
    if item["type"] == "extra_forbidden":
        known = _known_keys(keys, model)
        return [f"unknown key, {received}{nearest(keys[-1], known) or '; known keys: ' + ', '.join(known)}"]
    if item["type"] == "missing":
        return [f"is required, got nothing; add {keys[-1]}: ...{example}"]
    if item["type"] == "value_error":
        lines = item["msg"].removeprefix("Value error, ").splitlines()
        # A check of one value says only what it must be; a check of a section says everything.
        return [f"{line}, {received}{example}" if line.startswith("must ") else line for line in lines]
    return [f"{_expectation(item, keys, model)}, {received}{_suggestion(item)}{example}"]


def _expectation(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> str:
    match item["type"]:
        case "literal_error":
            return f"must be one of {', '.join(_options(item))}"
        case "string_pattern_mismatch":
            return "must be letters, digits, '.', '_' and '-' and not begin with '.' or '-'"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a mapping with keys such as {', '.join(_known_keys([*keys, ''], model)[:4])}"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short" | "too_long":
            bounds = item["ctx"]
            count, sign = (bounds["min_length"], "least") if "min_length" in bounds else (bounds["max_length"], "most")
            return f"must be a list of at {sign} {count}"
        case _:
            text = item["msg"].replace("Input should be", "must be").replace("String should", "must")
            return f"{text[0].lower()}{text[1:]}"


def _suggestion(item: "ErrorDetails") -> str:
    if item["type"] != "literal_error":
        return ""
    received = str(item["input"])
    return f"; write {received} without quotes" if received in _options(item) else nearest(received, _options(item))


def _options(item: "ErrorDetails") -> list[str]:
    expected = str(item.get("ctx", {}).get("expected", ""))
    return [option.strip("'\"") for option in expected.replace(" or ", ", ").split(", ")]


def _inner_path(path: str, message: str) -> str:
    """Returns the path of a message that names its own field first, as a section's own checks do."""
    name, sign, _ = message.partition(": ")
    return f"{path}.{name}" if sign and name.isidentifier() else path


def _known_keys(keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    current: Any = model
    is_named = False
    for key in keys[:-1]:
        if is_named:
            is_named = False
            continue
        fields = getattr(current, "model_fields", {})
        is_named = key in fields and get_origin(fields[key].annotation) is dict
        current = _model_of(fields[key].annotation) if key in fields else None
    return list(getattr(current, "model_fields", {}))


def _example(keys: Sequence[str], model: type[BaseModel]) -> str:
    current: Any = model
    is_named = False
    for depth, key in enumerate(keys, start=1):
        if is_named:
            is_named = False
            continue
        name = key.partition("[")[0]
        fields = getattr(current, "model_fields", {})
        if name not in fields:
            return ""
        field = fields[name]
        if depth == len(keys) and field.examples:
            return f"; for example {name}: {' or '.join(map(str, field.examples))}"
        is_named = get_origin(field.annotation) is dict
        current = _model_of(field.annotation)
    return ""
