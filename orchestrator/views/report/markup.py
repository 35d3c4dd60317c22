"""HTML that is safe by default: text is escaped unless it is `Markup`."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestrator.text import number


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Cell = str | int | float | bool | None | list[Any]


def text(value: Cell) -> Markup:
    """Returns a value as HTML.

    >>> text("<b>"), text(0.12345), text(Markup("<b>"))
    ('&lt;b&gt;', '0.1235', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(escape(number(value), quote=True))


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, numeric: Iterable[str] = ()) -> Markup:
    """Returns a table that scrolls by itself when it is large; columns named in `numeric` align right."""
    kinds = [' class="number"' if heading in set(numeric) else "" for heading in headings]
    head = "".join(f"<th{kind}>{text(heading)}</th>" for heading, kind in zip(headings, kinds, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return Markup(
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def section(title: str, *parts: Markup, note: str = "") -> Markup:
    """Returns a section with a heading and, under it, a sentence that explains it."""
    explained = f'<p class="note">{text(note)}</p>' if note else ""
    return Markup(f"<section><h2>{text(title)}</h2>{explained}\n{''.join(parts)}</section>\n")


def bullets(sentences: Iterable[str]) -> Markup:
    """Returns a list of sentences."""
    return Markup(f"<ul>{''.join(f'<li>{text(sentence)}</li>' for sentence in sentences)}</ul>\n")


def empty(sentence: str) -> Markup:
    """Returns a sentence that takes the place of an empty section."""
    return Markup(f'<p class="empty">{text(sentence)}</p>')


def pill(state: str) -> Markup:
    """Returns a trial's or study's state as a coloured word."""
    return Markup(f'<span class="pill {text(state.replace(" ", "-"))}">{text(state)}</span>')


def picture(png: bytes, *, alternative: str) -> Markup:
    """Returns an image whose data lies in the page."""
    data = base64.b64encode(png).decode()
    return Markup(f'<img class="picture" alt="{text(alternative)}" src="data:image/png;base64,{data}">')


def link(path: Path, *, root: Path, label: str) -> Markup:
    """Returns a relative link to a path below the page's folder; only its label for any other path."""
    try:
        relative = path.relative_to(root)
    except ValueError:
        return text(label)
    return Markup(f'<a href="{quote(relative.as_posix())}">{text(label)}</a>')


def figure(name: str, plot: Mapping[str, Any]) -> Markup:
    """Returns the place and the data of a plotly figure; the page's script draws it."""
    # A closing tag inside a string would end the script element, so no "<" is left in the data.
    data = json.dumps(plot, allow_nan=False).replace("<", "\\u003c")
    return Markup(
        f'<div class="scroll"><div class="figure" id="{name}"></div></div>'
        f'<script type="application/json" data-figure="{name}">{data}</script>'
    )
