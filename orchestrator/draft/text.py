"""Writes choices as a study file that people read: each key with its reason above it."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from orchestrator.draft.choice import Choice

_WIDTH = 110


def study_text(choices: Sequence[Choice], *, lead: Iterable[str]) -> str:
    """Returns the text of a study file.

    Args:
        choices: In order; those of one section follow each other.
        lead: Sentences above all keys.
    """
    lines = [line for sentence in lead for line in _comment(sentence, indent="")]
    section = ""
    for choice in choices:
        outer, _, inner = choice.key.rpartition(".")
        if outer and outer != section:
            lines.append(f"{outer}:")
        section = outer
        indent = "  " if outer else ""
        lines += _comment(choice.reason, indent=indent)
        if choice.value is not None:
            lines.append(f"{indent}{inner}: {shown_value(choice.value)}")
    return "\n".join(lines) + "\n"


def study_mapping(choices: Iterable[Choice]) -> dict[str, Any]:
    """Returns the study file's content."""
    mapping: dict[str, Any] = {}
    for choice in choices:
        if choice.value is None:
            continue
        outer, _, inner = choice.key.rpartition(".")
        (mapping.setdefault(outer, {}) if outer else mapping)[inner] = choice.value
    return mapping


def _comment(text: str, *, indent: str) -> list[str]:
    # Names of files and classes may hold line breaks and other signs that end a comment.
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    width = _WIDTH - len(indent)
    return [f"{indent}# {line}" for line in textwrap.wrap(plain, width, break_long_words=False, break_on_hyphens=False)]


def shown_value(value: Any) -> str:
    """Returns a value in one line of YAML.

    >>> shown_value({"flip": "horizontal", "shift": 0.1}), shown_value([48, 64]), shown_value("cnn-small")
    ('{flip: horizontal, shift: 0.1}', '[48, 64]', 'cnn-small')
    """
    plain = dict(value) if isinstance(value, Mapping) else value
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return str(text).removesuffix("\n").removesuffix("\n...")
