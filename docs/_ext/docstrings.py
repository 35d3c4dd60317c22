"""What a class says of its fields in `Attributes:` or `Args:`, and Markdown tables made of it."""

import inspect
import re
from collections.abc import Iterable, Sequence

_SECTION = re.compile(r"^(Attributes|Args):$")
_ENTRY = re.compile(r"^ {4}(\w+): (.*)$")


def described_fields(item: type) -> dict[str, str]:
    """Returns each field's description from the class's docstring, on one line each, as a sentence.

    Continuation lines are indented deeper than their field's name.
    """
    found: dict[str, str] = {}
    name, is_inside = "", False
    for line in (inspect.getdoc(item) or "").splitlines():
        if not line.startswith(" ") and line:
            is_inside, name = bool(_SECTION.match(line)), ""
        elif is_inside and (entry := _ENTRY.match(line)):
            name = entry[1]
            found[name] = entry[2]
        elif is_inside and name and line.strip():
            found[name] += f" {line.strip()}"
    return {name: _sentence(text) for name, text in found.items()}


def first_line(item: object) -> str:
    """Returns the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(item) or "").partition("\n\n")[0].split())


def require(text: str, *, what: str) -> str:
    """Returns a description.

    Raises:
        ValueError: If there is none.
    """
    if not text.strip():
        raise ValueError(f"{what}: has no description; write one in the docstring of its class, under Attributes")
    return text


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table.

    >>> print(table(["a"], [["1|2"]]))
    | a |
    |---|
    | 1\\|2 |
    """
    lines = [list(heads), ["---"] * len(heads), *(list(map(_cell, row)) for row in rows)]
    head, rule, *rest = lines
    return "\n".join([_line(head), "|" + "|".join(rule) + "|", *map(_line, rest)])


def code(value: object) -> str:
    """Returns a value as code; an empty text for none."""
    return f"`{value}`" if str(value) else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+ ", text) else text


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", r"\|")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
