"""What a card consists of, before it is Markdown or HTML; names of a study are text in it, never markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table.

    Attributes:
        headings: Of the columns.
        rows: Of as many cells each.
        numeric: The places of columns that align right.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Lines of code."""

    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A reliability curve, drawn in HTML only: its numbers stand in a table as well.

    Attributes:
        points: (stated probability, share that is right, answers) of each bin.
    """

    points: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG beside the card: Markdown names the file, HTML holds its bytes.

    Attributes:
        file: Its name in the folder of the card, of letters, digits, `_` and `.` only.
        text: What it shows, for those who do not see it.
        content: Its bytes.
    """

    file: str
    text: str
    content: bytes


Block = Heading | Paragraph | Bullets | Grid | Code | Curve | Picture


def text_line(text: str) -> str:
    r"""Returns text as one line without control codes.

    >>> text_line("a\n  name\x1b[31m")
    'a name[31m'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def grid(headings: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Iterable[int] = ()) -> Grid:
    """Returns a table of any values.

    Args:
        headings: Of the columns.
        rows: Of as many values each.
        numeric: The places of columns that align right.
    """
    cells = tuple(tuple(shown_value(value) for value in row) for row in rows)
    return Grid(headings=tuple(headings), rows=cells, numeric=frozenset(numeric))


def shown_value(value: object) -> str:
    """Returns a value as people read it: four significant digits, `-` for None.

    >>> shown_value(0.91234), shown_value(12345), shown_value(None), shown_value([3, 3]), shown_value(True)
    ('0.9123', '12,345', '-', '3, 3', 'yes')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown_value, value))
    return str(value)
