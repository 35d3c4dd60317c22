"""WebDataset: tar archives whose files of one base name, cut at its first dot, are one example.

Read with tarfile of the standard library, as the library webdataset (1.0.2) does inside. That one needs no torch, but
reads forward only and keeps no place, so that images would have to be held for a second pass; it drops links and names
without a dot, makes two examples of one whose files are not neighbours, and joins img_0.5.jpg and img_0.7.jpg to one,
all of it in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from trainables.data.records.shards import records_dataset, shard_notes, shards_of
from trainables.data.records.tar_members import Member, members
from trainables.data.sources.base import OpenedSource, RawDataset, content_hashes
from trainables.data.sources.folder_tree import SUFFIXES
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: The endings of archives that are looked for in a folder.
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LABEL_FIELDS = ("cls", "json", "txt")
_IMAGE_FIELDS = frozenset(suffix[1:] for suffix in SUFFIXES)


def open_webdataset(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns the examples of each split's archives, in the order of the archives' names and of their files.

    The image is the one field jpg, png, ..., or what `image_column` names: a field (left.png) or one without its ending
    (left). A label is the field of the column's name, the column of a JSON object, else cls, a bare JSON value or txt.
    """
    shards = shards_of(spec, fits=lambda path: path.name.lower().endswith(ENDINGS), what="tar archive")
    files = [(split, path) for split, paths in shards.items() for path in paths]

    def read() -> RawDataset:
        left_out: set[str] = set()
        raw = records_dataset(shards, partial(samples, left_out=left_out), spec=spec, class_names={})
        return replace(raw, notes=_notes(left_out))

    return OpenedSource(content=content_hashes(files, progress=progress), read=read, notes=shard_notes(shards))


def _notes(left_out: set[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    shown = ", ".join(sorted(left_out)[:3]) + (", ..." if len(left_out) > 3 else "")
    return (f"files of archives that belong to no example are left out: {len(left_out)} ({shown})",)


@dataclass(slots=True, kw_only=True)
class Sample:
    """One example of an archive.

    Attributes:
        path: The archive.
        name: The example's name: what its files' names have before the first dot.
        names: The files' names in the archive by their fields: what follows the first dot, in small letters.
        places: Where the files begin in the archive and their sizes, by their fields; of a plain archive.
        contents: The bytes of fields that were read in passing: labels, of a compressed archive all.
    """

    path: Path
    name: str
    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The archive and the example's name, for errors."""
        return f"{self.path}: {self.name}"

    def add(self, suffix: str, member: Member) -> None:
        """Adds a file of the example."""
        self.names[suffix] = member.name
        if member.place is not None:
            self.places[suffix] = member.place
        # Of a compressed archive nothing can be read again once the next file is asked for.
        if member.place is None or suffix.rpartition(".")[2] in _LABEL_FIELDS:
            self.contents[suffix] = member.read()

    def demand_image(self, column: str) -> None:
        """Raises DataError if the example has not exactly one image of a column."""
        self._image_field(column)

    def image(self, column: str) -> bytes:
        """Returns the image of a column."""
        return self._content(self._image_field(column))

    def image_place(self, column: str) -> tuple[int, int] | None:
        """Returns where an image begins in the archive's file and its size; None where that is compressed."""
        return self.places.get(self._image_field(column))

    def label(self, column: str) -> object:
        """Returns the label of a column: text, or what JSON holds."""
        for name in (column, *(f"{column}.{ending}" for ending in _LABEL_FIELDS)):
            if name.lower() in self.names:
                return self._value(name.lower())
        if "json" in self.names and isinstance(value := self._value("json"), dict) and column in value:
            return value[column]
        if column == "label":
            for name in _LABEL_FIELDS:
                if name in self.names and not isinstance(value := self._value(name), dict):
                    return value
        raise DataError(
            f"{self.where}: has no label {column!r}, its files are {sorted(self.names.values())}; add a file "
            f".{column if column != 'label' else 'cls'} to every example, or name the field or the key of .json"
        )

    def _image_field(self, column: str) -> str:
        named = [name for name in self.names if column.lower() in (name, _without_ending(name))]
        plain = [name for name in self.names if name in _IMAGE_FIELDS] if column == "image" else []
        found = named or plain
        if len(found) == 1:
            return found[0]
        files = sorted(self.names.values())
        if dotted := [name for name in self.names if "." in name and _without_ending(name) is not None]:
            raise DataError(
                f"{self.where}: expected one image {column!r}, its files are {files}; the format cuts a file's name at "
                f"its first dot: rename files such as {self.names[dotted[0]]} to have one dot, or name the field: "
                f"image_column: {dotted[0]}"
            )
        raise DataError(
            f"{self.where}: expected one image {column!r}, got {len(found)}, its files are {files}; give every example "
            "one image (.jpg, .png, ...), or name its field: image_column: ..."
        )

    def _content(self, name: str) -> bytes:
        if name in self.contents:
            return self.contents[name]
        start, size = self.places[name]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def _value(self, name: str) -> object:
        content, where = self._content(name), f"{self.where}: {self.names[name]}"
        try:
            text = content.decode("utf-8-sig").strip()
            return json.loads(text) if name.rpartition(".")[2] == "json" else text
        except (ValueError, RecursionError) as exc:
            raise DataError(f"{where}: cannot be read as text or JSON: {exc}; write it again in UTF-8") from exc


def samples(path: Path, *, left_out: set[str]) -> Iterator[Sample]:
    """Yields the examples of an archive; files without a dot or a base name, and those that begin with __, have none.

    Args:
        path: The archive.
        left_out: Takes the places of files that belong to no example.

    Raises:
        DataError: If files of an example are not neighbours, or two have one name.
    """
    sample = Sample(path=path, name="")
    done: set[str] = set()
    for member in members(path):
        name = PurePosixPath(member.name)
        base, dot, suffix = name.name.partition(".")
        if not base or not dot or any(part.startswith(("__", "._")) for part in name.parts):
            left_out.add(f"{path}: {member.name}")
            continue
        found = str(name.with_name(base))
        if found != sample.name:
            if sample.names:
                yield sample
            if found in done:
                raise DataError(
                    f"{path}: the files of {found} are not neighbours, {member.name} comes later; write the archive "
                    "again, sorted by name: tar --sort=name"
                )
            done.add(found)
            sample = Sample(path=path, name=found)
        if suffix.lower() in sample.names:
            raise DataError(
                f"{path}: {sample.names[suffix.lower()]} and {member.name} are both in the archive; keep one of them"
            )
        sample.add(suffix.lower(), member)
    if sample.names:
        yield sample


def _without_ending(name: str) -> str | None:
    """Returns a field's name without the ending of an image, if it has one."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and ending in _IMAGE_FIELDS else None
