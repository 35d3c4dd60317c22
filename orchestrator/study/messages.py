"""Pydantic's findings about a study file, in the words of this package."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from orchestrator.text import shown
from search_spaces import Problem, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Returns pydantic's findings as problems, one a place, with what the file has and how to fix it."""
    problems: dict[str, Problem] = {}
    items = error.errors(include_url=False)
    for item in items:
        if _is_follow_up(item, items):
            continue
        keys = _keys_of(item, model)
        path = ".".join(keys) or "study"
        for message in _messages(item, keys, model):
            inner = path if item["type"] != "value_error" else _inner_path(path, message)
            text = message if inner == path else message.partition(": ")[2]
            # Pydantic has a finding for each branch of a union; one line a place is enough.
            problems.setdefault(inner, Problem(path=inner, message=text))
    return list(problems.values())


def _is_follow_up(item: "ErrorDetails", items: Sequence["ErrorDetails"]) -> bool:
    """Returns whether a finding only follows from another one: a list is too short because an item of it is wrong."""
    place = item["loc"]
    is_inside = any(len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in items)
    return item["type"] == "default_factory_not_called" or (item["type"] == "too_short" and is_inside)


def _keys_of(item: "ErrorDetails", model: type[BaseModel]) -> list[str]:
    """Returns the keys of the study file that a finding is about, without pydantic's names of union branches."""
    keys: list[str] = []
    place = _Place(model=model)
    for part in item["loc"]:
        if isinstance(part, int):
            keys[-1:] = [f"{keys[-1]}[{part}]"] if keys else [str(part)]
            continue
        is_branch = part not in place.fields and item["type"] != "extra_forbidden" if place.fields else bool(keys)
        if place.takes_names or not is_branch:
            keys.append(part)
            place = place.below(part)
    return keys


def _messages(item: "ErrorDetails", keys: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Returns the messages of one finding: usually one, several if a section checked itself."""
    received = f"got {shown(item['input'])}"
    example = _example(keys, model)
    if item["type"] == "extra_forbidden":
        known = _known_keys(keys, model)
        return [f"unknown key, {received}{nearest(keys[-1], known) or '; known keys: ' + ', '.join(known)}"]
    if item["type"] == "missing":
        return [f"is required, got nothing; add {keys[-1]}: ...{example}"]
    if item["type"] == "value_error":
        lines = item["msg"].removeprefix("Value error, ").splitlines()
        # The message of one value's check lacks what was received; that of a section's check is complete.
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
    """Returns the keys that may stand where the last of these keys does."""
    return list(_place_of(keys[:-1], model).fields)


def _example(keys: Sequence[str], model: type[BaseModel]) -> str:
    field = _place_of(keys, model).field
    if field is None or not field.examples:
        return ""
    return f"; for example {keys[-1].partition('[')[0]}: {' or '.join(map(str, field.examples))}"


def _place_of(keys: Iterable[str], model: type[BaseModel]) -> "_Place":
    place = _Place(model=model)
    for key in keys:
        place = place.below(key)
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place in a study file, as the model of the file describes it.

    Attributes:
        model: Describes the mapping at this place; None for a plain value, and for what the model does not know.
        field: What the key of this place stands for; None for a name that the user gave, such as a target's.
        takes_names: Whether the keys below are names that the user gives, each with a mapping that `model` describes.
    """

    model: type[BaseModel] | None
    field: FieldInfo | None = None
    takes_names: bool = False

    @property
    def fields(self) -> Mapping[str, FieldInfo]:
        """The keys that may stand below, with what they stand for; none below a plain value."""
        return {} if self.model is None else self.model.model_fields

    def below(self, key: str) -> "_Place":
        """Returns the place of a key, which may end with the position in a list, such as `reuse[0]`."""
        if self.takes_names:
            return _Place(model=self.model)
        field = self.fields.get(key.partition("[")[0])
        if field is None:
            return _Place(model=None)
        return _Place(model=_model_of(field.annotation), field=field, takes_names=get_origin(field.annotation) is dict)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
