"""Checks that the files and runs that a study names exist, before the driver starts anything."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.runs.paths import RunFolder
from search_spaces import Problem, nearest
from trainables.specs.data import PATH_FIELDS, DataSpec

_LONGEST_PATH = 80


def path_problems(data: DataSpec, *, base: Path) -> list[Problem]:
    """Returns a problem for each path of the data without a file or folder; patterns such as `*.parquet` have none.

    Args:
        base: The folder that relative paths start from.
    """
    return [
        Problem(path=f"data.{field}", message=message)
        for field, given in _input_paths(data)
        if (message := path_problem(given, base=base))
    ]


def path_problem(given: str, *, base: Path) -> str:
    """Returns what is wrong with a path that must exist, or an empty string."""
    if not given.strip():
        return f"expected a path, got {given!r}; name a file or folder, or remove the key"
    try:
        path = base.absolute() / Path(given).expanduser()
        if glob.has_magic(given) or path.exists():
            return ""
        beside = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
    except (OSError, RuntimeError) as exc:
        # The name is too long, the folder may not be entered, or the home is that of an unknown user.
        shown = given if len(given) <= _LONGEST_PATH else f"{given[:_LONGEST_PATH]}..."
        return f"cannot be looked for ({getattr(exc, 'strerror', None) or exc}), got {shown!r}; correct the path"
    close = nearest(path.name, beside) or "; correct the path"
    return f"no such file or folder, got {given!r}, which is {path}{close}"


def reuse_problems(reuse: Iterable[str], *, base: Path) -> list[Problem]:
    """Returns a problem for each path in reuse that is not a run folder.

    Args:
        base: The folder that relative paths start from.
    """
    problems = []
    for given in reuse:
        problem = path_problem(given, base=base)
        folder = RunFolder(resolved(given, base=base)) if not problem else None
        if folder is not None and not (folder.journal.is_file() and folder.study.is_file()):
            problem = f"is not a run folder, got {given!r}, which is {folder.root}; give one that `convfleet run` made"
        if problem:
            problems.append(Problem(path="reuse", message=problem))
    return problems


def resolved(given: str, *, base: Path) -> Path:
    """Returns an absolute path: `~` is expanded, relative paths start at `base`."""
    return base.absolute() / Path(given).expanduser()


def _input_paths(data: DataSpec) -> Iterator[tuple[str, str]]:
    for field in PATH_FIELDS:
        given = getattr(data, field)
        # Preparing the data makes the cache's folder.
        if given is None or field == "cache_dir":
            continue
        if field in ("images", "masks"):
            folder_of = data.image_folder if field == "images" else data.mask_folder
            splits = [split for split in ("validation", "test") if getattr(data, split) is not None]
            yield from (
                (field, folder) for folder in dict.fromkeys(folder_of(name) or "" for name in ("train", *splits))
            )
        else:
            yield field, given
