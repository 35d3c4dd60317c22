"""Reads columns of CSV and TSV files as text: no value is changed, whatever it looks like."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_spaces import nearest
from trainables.data.sources.base import missing_file
from trainables.errors import DataError

#: What may part the values of a row; the first one by which the header has all columns is taken.
DELIMITERS = (",", ";", "\t", "|")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
#: How files begin that are often named .csv and are none.
_OTHER_FORMATS = {b"PK\x03\x04": "an Excel workbook or a ZIP archive", b"PAR1": "a Parquet file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns of a table as text, without the spaces around each value.

    Attributes:
        path: The file.
        columns: By name, one text a row.
        num_trimmed: The values that had spaces around them.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    num_trimmed: int

    def place(self, row: int) -> str:
        """Returns a row's name in errors, counted from 1 below the header."""
        return f"{self.path} row {row + 1}"


def read_table(path: Path, *, role: str, columns: Mapping[str, str]) -> Table:
    """Returns columns of a table with a header, whatever of DELIMITERS parts its values; `.gz` is unpacked.

    Args:
        role: The field of the study file that names the table.
        columns: The columns to read, each with the field of the study file that names it.

    Raises:
        DataError: If the file is no table in UTF-8, lacks a column, has it twice, or has no rows.
    """
    text = _text(path, role=role)
    delimiter, header = _header(text, path=path, columns=columns)
    values = _columns(text, path=path, delimiter=delimiter, header=header, wanted=list(columns))
    if not next(iter(values.values())):
        raise DataError(f"data.{role}: {path} has a header and no rows; add a row for each image")
    trimmed = {name: [value.strip() for value in column] for name, column in values.items()}
    num_trimmed = sum(old != new for name in values for old, new in zip(values[name], trimmed[name], strict=True))
    return Table(path=path, columns=trimmed, num_trimmed=num_trimmed)


def column_names(path: Path, *, role: str) -> list[str]:
    """Returns the names of all columns of a table, each once, in order.

    Args:
        role: The field of the study file that names the table.

    Raises:
        DataError: If the file is no table in UTF-8.
    """
    _, header = _header(_text(path, role=role), path=path, columns={})
    return [name for name in dict.fromkeys(header) if header.count(name) == 1 and name]


def _text(path: Path, *, role: str) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(f"data.{role}: {path} is not a whole gzip file: {exc}; copy or write it again") from exc
    except OSError as exc:
        raise missing_file(role, path, exc) from exc
    for start, what in _OTHER_FORMATS.items():
        if content.startswith(start):
            raise DataError(f"data.{role}: {path} is {what}, expected CSV or TSV; save it as CSV in UTF-8")
    try:
        if content.startswith(_UTF16) or b"\0" in content:
            raise DataError(f"data.{role}: {path} is not text in UTF-8 (UTF-16?); save it as CSV in UTF-8")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        raise DataError(
            f"data.{role}: {path} line {line} is not text in UTF-8: byte 0x{content[exc.start]:02x}; "
            "save the table in UTF-8"
        ) from exc
    if not text.strip():
        raise DataError(f"data.{role}: {path} is empty; write a header and a row for each image")
    return text


def _header(text: str, *, path: Path, columns: Mapping[str, str]) -> tuple[str, list[str]]:
    """Returns the delimiter and the names of all columns."""
    headers = {delimiter: _first_row(text, path=path, delimiter=delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda sign: (sum(name in headers[sign] for name in columns), len(headers[sign])))
    header = headers[delimiter]
    for name, field in columns.items():
        if header.count(name) == 0:
            fix = nearest(name, header) or "; name one of them, or write a header where the file has none"
            raise DataError(f"data.{field}: {path} has no column {name!r}, its first line has {header[:12]}{fix}")
        if header.count(name) > 1:
            raise DataError(f"data.{field}: {path} has {header.count(name)} columns {name!r}; rename all but one")
    return delimiter, header


def _first_row(text: str, *, path: Path, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))]
    except csv.Error as exc:
        raise DataError(f"{path}: the first line cannot be read: {exc}; write the table again") from exc


def _columns(
    text: str, *, path: Path, delimiter: str, header: Sequence[str], wanted: Sequence[str]
) -> dict[str, list[str]]:
    # Late: pyarrow stays out of processes that only open decoded data.
    import pyarrow as pa
    import pyarrow.csv

    places = [header.index(name) for name in wanted]
    numbered = [str(place) for place in range(len(header))]  # columns that nobody reads may share a name
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(_below_the_header(text, delimiter=delimiter).encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=numbered),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=[str(place) for place in places],
                column_types=dict.fromkeys(numbered, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as exc:
        if "Empty CSV" in str(exc):
            return {name: [] for name in wanted}
        raise DataError(
            f"{path}: is not a whole table: {str(exc).splitlines()[0]}; give every row as many values as the header "
            f"has ({len(header)}), parted by {delimiter!r}, and close every quote"
        ) from exc
    return {name: table.column(number).to_pylist() for number, name in enumerate(wanted)}


def _below_the_header(text: str, *, delimiter: str) -> str:
    rest = io.StringIO(text, newline="")
    next(csv.reader(rest, delimiter=delimiter))
    return rest.read()
