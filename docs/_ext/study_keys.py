"""The study file's keys, from the pydantic models that check it."""

import re
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


def markdown(argument: str) -> str:
    """Returns a table of the top level's keys, then one table a section."""
    parts = ["## Top level", keys_table(StudySpec, path="")]
    for path, model in sections(StudySpec, path=""):
        if path == "space":
            rows = [[code(f"space.{key}"), _SPACE[key][0], "", _SPACE[key][1]] for key in KEYS]
            parts += [
                "## `space`",
                "What may vary. See [domains and conditions](#domains-and-conditions).",
                _table(rows),
            ]
        else:
            parts += [f"## `{path}`", first_line(model), keys_table(model, path=f"{path}.")]
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
        text = require(text, what=f"{model.__name__}.{name}")
        yield f"{path}{name}", field, _as_written(text, takes=type_in_words(field.annotation))


def keys_table(model: type[BaseModel], *, path: str) -> str:
    """Returns the table of one section."""
    return _table(
        [code(key), type_in_words(field.annotation) + bounds(field), default(field), text]
        for key, field, text in keys(model, path=path)
    )


def type_in_words(annotation: Any) -> str:
    """Returns what a key takes, in words.

    >>> type_in_words(Literal["max", "min"]), type_in_words(int | None), type_in_words(tuple[str, ...])
    ('`max`, `min`', 'whole number', 'list of texts')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        words = ", ".join(code(value) for value in inner)
    elif origin in (Union, types.UnionType):
        words = " or ".join(dict.fromkeys(type_in_words(item) for item in inner if item is not types.NoneType))
    elif origin is tuple:
        count = "" if Ellipsis in inner else f"{len(inner)} "
        words = f"list of {count}{type_in_words(inner[0])}{'s' if _NAMES.get(_plain(inner[0])) else ''}"
    elif origin is Annotated:
        words = type_in_words(inner[0])
    elif origin is dict:
        words = f"mapping of names to {'values' if _model_in(inner[1]) is None else 'mappings'}"
    elif _model_in(annotation) is not None:
        words = "mapping"
    else:
        words = _NAMES.get(annotation, "name or mapping")
    return words


def bounds(field: FieldInfo) -> str:
    """Returns the lowest and highest value that a key takes, in signs."""
    signs = [
        f"{sign} {number(value)}"
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
    if isinstance(value, BaseModel) or value == "":
        return ""
    if isinstance(value, tuple):
        return code(f"[{', '.join(value)}]")
    return code(value if isinstance(value, str) else number(value))


def number(value: float) -> str:
    """Returns a number as people write it.

    >>> number(2147483647), number(0.9), number(180.0)
    ('2,147,483,647', '0.9', '180')
    """
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _table(rows: Any) -> str:
    return table(["key", "takes", "default", "meaning"], rows)


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _as_written(text: str, *, takes: str) -> str:
    """Returns a description with values as a study file writes them: none, and options in small letters."""
    first = text.partition(" ")[0].strip(",;")
    if f"`{first.lower()}`" in takes:
        text = text[0].lower() + text[1:]
    return re.sub(r"\bNone\b", "none", text)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for item in (annotation, *get_args(annotation)):
        if isinstance(item, type) and issubclass(item, BaseModel):
            return item
    return None
