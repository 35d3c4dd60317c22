"""Finds the files that a table's image names mean, in one folder and never outside it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from trainables.data.sources.folder_tree import SUFFIXES
from trainables.data.tables.reading import Table
from trainables.errors import DataError

_SHOWN = 10


class ImageFolder:
    """All files of a folder, by their paths below it, with and without the endings of images.

    Args:
        root: The folder.
        role: The field of the study file that names the folder, or the table where no field does.

    Raises:
        DataError: If the folder cannot be listed.
    """

    def __init__(self, root: Path, *, role: str) -> None:
        self.root = root
        self._files = frozenset(_files(root, role=role))
        #: Those of them that are images and that no table named yet.
        self.unnamed = {name for name in self._files if _is_image(name)}
        self._by_stem: dict[str, list[str]] = {}
        for name in sorted(self.unnamed):
            self._by_stem.setdefault(name.rpartition(".")[0], []).append(name)

    def paths(self, table: Table, column: str, *, what: str = "image") -> list[str]:
        """Returns the path below the folder of each row's image: the name's own, or the name with an ending.

        Args:
            table: The table.
            column: The column of names.
            what: What they name, in errors.

        Raises:
            DataError: If files are missing, named all at once; if a name leads out of the folder; or if several files
                have it.
        """
        paths, missing = [], []
        for row, name in enumerate(table.columns[column]):
            if problem := _problem(name, what=what):
                raise DataError(f"{table.place(row)}: column {column!r}: {problem}")
            path = self._found(name, where=f"{table.place(row)}: column {column!r}")
            if path is None:
                missing.append((row, name))
            else:
                paths.append(path)
        if missing:
            raise DataError(self._missing(missing, table, column, what=what))
        self.unnamed.difference_update(paths)
        return paths

    def _found(self, name: str, *, where: str) -> str | None:
        plain = posixpath.normpath(name)
        if plain in self._files:
            return plain
        found = self._by_stem.get(plain, [])
        if not found and _is_file(self.root / plain):  # behind a link to a folder
            return plain
        if len(found) > 1:
            raise DataError(
                f"{where}: {name!r} may be {' or '.join(found[:4])} in {self.root}; write the ending in the table, or "
                "keep one of the files"
            )
        return found[0] if found else None

    def _missing(self, missing: Sequence[tuple[int, str]], table: Table, column: str, *, what: str) -> str:
        shown = ", ".join(f"{name!r} (row {row + 1})" for row, name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        total = len(table.columns[column])
        return (
            f"{table.path}: {len(missing)} of {total} {what}s that column {column!r} names are not in {self.root}: "
            f"{shown}{more}; {self._cure(missing[0][1], what=what)}"
        )

    def _cure(self, name: str, *, what: str) -> str:
        """Returns what to do about a missing file: what lies beside often says why it is missing."""
        if "\\" in name:
            return "write paths with / instead of \\"
        base, lowered = PurePosixPath(name).name, name.lower()
        for path in sorted(filter(_is_image, self._files)):
            stem = path.rpartition(".")[0]
            if lowered in (path.lower(), stem.lower()):
                return f"the folder has {path!r}, which differs in case; write the names alike"
            if base in (PurePosixPath(path).name, PurePosixPath(stem).name):
                return f"the folder has {path!r}; write the path below the folder in the table, or name another folder"
        return f"add the files, name another folder with {what}s: ..., or remove the rows"


def unnamed_notes(folders: Mapping[Path, ImageFolder]) -> list[str]:
    """Returns a sentence for each folder with images that no table names."""
    return [
        f"{folder.root}: images that no table names are left out: {len(folder.unnamed)} "
        f"({', '.join(sorted(folder.unnamed)[:3])}{', ...' if len(folder.unnamed) > 3 else ''})"
        for folder in folders.values()
        if folder.unnamed
    ]


def _files(root: Path, *, role: str) -> list[str]:
    def refuse(exc: OSError) -> None:
        raise DataError(
            f"data.{role}: cannot list {exc.filename}: {exc.strerror}; give the folder that has the table's images, "
            "relative paths start at the study file"
        ) from exc

    files = []
    for folder, _, names in os.walk(root, onerror=refuse):
        below = Path(folder).relative_to(root).as_posix()
        files += names if below == "." else [f"{below}/{name}" for name in names]
    return files


def _is_image(path: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.split("/"))
    return not hidden and posixpath.splitext(path)[1].lower() in SUFFIXES


def _problem(name: str, *, what: str) -> str:
    """Returns what is wrong with a name that can be no file of the folder, or an empty string."""
    if not name:
        return f"the {what}'s name is empty; write it or remove the row"
    if "://" in name:
        return f"{name!r} is a URL; copy the {what} into the folder and name it there"
    if name.startswith("/") or name[1:3] in (":\\", ":/"):
        return f"{name!r} is an absolute path; write the path below the folder of {what}s"
    if ".." in name.replace("\\", "/").split("/"):
        return f"{name!r} leads out of the folder of {what}s by '..'; write the path below the folder"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null character
        return False
