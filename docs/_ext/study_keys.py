"""The study file's keys, from the pydantic models that check it."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docstrings import code, described_fields, first_line, require, table
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.study.spec import StudySpec
from search_spaces.limits import LIMITS
from search_spaces.parsing import KEYS

_NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
#: The keys of `space`, which is read by `search_spaces` and is no pydantic model.
_SPACE = {
    "base": ("text", "The name of a built-in space that this one starts from."),
    "family": ("text or a domain", "The family, or families to choose from: `{choice: [sequential, residual]}`."),
    "params": (
        "mapping",
        "A domain, or a bare value, by parameter. With `base`, an entry replaces the domain of the built-in one.",
    ),
    "limits": ("mapping", f"The most that a variant may cost: any of {', '.join(map(code, LIMITS))}."),
}
#: Keys that a run folder's study.yaml has and nobody writes.
_FILLED_IN = ("study_dir", "function_dir")


def markdown(argument: str) -> str:
    """Returns a table of the top level's keys, then one table a section."""
    parts = ["## Top level", keys_table(StudySpec, path="")]
    for path, model in sections(StudySpec, path=""):
        if path == "space":
            rows = [[code(f"space.{key}"), _SPACE[key][0], "", _SPACE[key][1]] for key in KEYS]
            parts += ["## space", "What may vary. See [domains and conditions](#domains-and-conditions).", _table(rows)]
        else:
            parts += [f"## {path}", first_line(model), keys_table(model, path=f"{path}.")]
    return "\n\n".join(parts)


def sections(model: type[BaseModel], *, path: str) -> Iterator[tuple[str, Any]]:
    """Yields each section's path and model, in the file's order, each followed by those inside it."""
    for name, field in model.model_fields.items():
        inner, sign = _model_in(field.annotation), "<name>." if get_origin(field.annotation) is dict else ""
        if inner is not None:
            yield f"{path}{name}{'.' + sign if sign else ''}".rstrip("."), inner
            yield from sections(inner, path=f"{path}{name}.{sign}")
        elif name == "space":
            yield "space", None


def keys(model: type[BaseModel], *, path: str = "") -> Iterator[tuple[str, FieldInfo, str]]:
    """Yields every key's path with its field and description.

    Raises:
        ValueError: If a key has no description.
    """
    texts = described_fields(model)
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        text = texts.get(name) or (first_line(inner) if inner is not None else "")
        yield f"{path}{name}", field, require(text, what=f"{model.__name__}.{name}")


def keys_table(model: type[BaseModel], *, path: str) -> str:
    """Returns the table of one section."""
    return _table(
        [code(key), type_in_words(field.annotation) + bounds(field), default(field), text + _filled_in(key)]
        for key, field, text in keys(model, path=path)
    )


def type_in_words(annotation: Any) -> str:
    """Returns what a key takes, in words.

    >>> type_in_words(Literal["max", "min"]), type_in_words(int | None), type_in_words(tuple[str, ...])
    ('`max`, `min`', 'whole number', 'list of text')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        words = ", ".join(code(value) for value in inner)
    elif origin in (Union, types.UnionType):
        words = " or ".join(dict.fromkeys(type_in_words(item) for item in inner if item is not types.NoneType))
    elif origin is tuple:
        is_any_length = Ellipsis in inner
        words = f"list of {'' if is_any_length else f'{len(inner)} '}{type_in_words(inner[0])}"
    elif origin is Annotated:
        words = type_in_words(inner[0])
    elif origin is dict:
        words = "mapping of names to mappings"
    elif _model_in(annotation) is not None:
        words = "mapping"
    else:
        words = _NAMES.get(annotation, "name or mapping")
    return words


def bounds(field: FieldInfo) -> str:
    """Returns the lowest and highest value that a key takes, in signs."""
    signs = [
        f"{sign} {value:,}"
        for item in field.metadata
        for name, sign in _BOUNDS.items()
        if (value := getattr(item, name, None)) is not None
    ]
    return f" {' and '.join(signs)}" if signs else ""


def default(field: FieldInfo) -> str:
    """Returns what a key is when it is left out."""
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        # Made by a function: a section's defaults stand in its own table, and others say so in their description.
        return ""
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, BaseModel) or value in ((), ""):
        return ""
    text = str(value).lower() if isinstance(value, bool) else value
    return code(f"[{', '.join(value)}]" if isinstance(value, tuple) else text)


def _table(rows: Any) -> str:
    return table(["key", "takes", "default", "meaning"], rows)


def _filled_in(key: str) -> str:
    return " convfleet fills it in." if key.rpartition(".")[2] in _FILLED_IN else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for item in (annotation, *get_args(annotation)):
        if isinstance(item, type) and issubclass(item, BaseModel):
            return item
    return None
