"""Finds the image files that a user names, and reads each as the study's own readers read its images."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trainables.data.formats.refusals import PictureError
from trainables.data.images.decode import Encoded, decode, read_header
from trainables.data.images.images import Array, Layout
from trainables.data.sources.folder_tree import SUFFIXES, SYSTEM_FILES, SYSTEM_FOLDERS
from trainables.machine.processes import usable_cpus
from trainables.predicting.described import ExportedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """One image file, or what stands in its place.

    Attributes:
        path: As the user names it.
        problem: Why it is none, in words; empty for a file that may be read.
    """

    path: Path
    problem: str = ""


def listed_files(paths: Sequence[str]) -> list[NamedFile]:
    """Returns the image files that paths name, in their order; those of a folder by name, with its subfolders.

    Args:
        paths: Files of any name, and folders, of which files with the ending of an image count.
    """
    return [file for path in paths for file in _below(Path(path))]


def _below(path: Path) -> list[NamedFile]:
    try:
        if path.is_file():
            return [NamedFile(path=path)]
        if not path.exists():
            problem = "no such file or folder; relative paths start at the current folder"
            return [NamedFile(path=path, problem=problem)]
        if not path.is_dir():
            return [NamedFile(path=path, problem="is neither a file nor a folder; give an image")]
        found = [NamedFile(path=inner) for inner in sorted(path.rglob("*")) if _is_image(inner, root=path)]
    except OSError as exc:
        return [NamedFile(path=path, problem=f"cannot be looked into ({exc.strerror}); check its permissions")]
    return found or [NamedFile(path=path, problem="has no file with the ending of an image; name the files themselves")]


def _is_image(path: Path, *, root: Path) -> bool:
    parts = path.relative_to(root).parts
    is_hidden = any(part.startswith(".") or part.lower() in SYSTEM_FOLDERS for part in parts)
    return (
        not is_hidden and path.suffix.lower() in SUFFIXES and path.name.lower() not in SYSTEM_FILES and path.is_file()
    )


def read_files(
    files: Sequence[NamedFile], export: ExportedModel, *, at_once: int
) -> Iterator[tuple[list[Path], Array, list[NamedFile]]]:
    """Yields images in batches: their paths, their pixels, and the files that are refused, each with its problem.

    The pixels are uint8 (count, height, width, channels).

    Args:
        files: In order.
        export: The model that takes the images.
        at_once: How many files a batch has.
    """
    with ThreadPoolExecutor(max_workers=usable_cpus(), thread_name_prefix="decode") as pool:
        for start in range(0, len(files), at_once):
            some = files[start : start + at_once]
            read = list(pool.map(partial(_pixels_or_problem, export=export), some))
            kept = [(file.path, pixels) for file, pixels in zip(some, read, strict=True) if not isinstance(pixels, str)]
            refused = [
                NamedFile(path=file.path, problem=problem)
                for file, problem in zip(some, read, strict=True)
                if isinstance(problem, str)
            ]
            images = np.stack([pixels for _, pixels in kept]) if kept else _none(export.layout)
            yield [path for path, _ in kept], images, refused


def size_problem(size: tuple[int, int], export: ExportedModel) -> str:
    """Returns why the model does not take images of a size, (height, width); an empty text if it does."""
    layout = export.layout
    if export.takes_any_size or size == (layout.height, layout.width):
        return ""
    return (
        f"is {size[0]}x{size[1]} (height x width), the model was trained on images of {layout.height}x{layout.width} "
        "that were not resized"
    )


def color_problem(has_colour: bool, export: ExportedModel) -> str:
    """Returns why the model does not take images with colour; an empty text if it does, or they have none."""
    if not has_colour or export.takes_any_colors or export.layout.channels == 3:
        return ""
    return "has 3 channels (colour), the model was trained on images of 1 (grey) that were not converted"


def _pixels_or_problem(file: NamedFile, *, export: ExportedModel) -> Array | str:
    if file.problem:
        return file.problem
    item = Encoded(where=str(file.path), content=file.path)
    try:
        header = read_header(item, pages=export.layout.pages)
        if problem := size_problem(header.size, export):
            return f"{problem}; resize it first"
        if problem := color_problem(header.has_colour, export):
            return f"{problem}; convert it first"
        return decode(item, layout=export.layout)
    except PictureError as exc:
        return f"{exc}; {exc.fix}"


def _none(layout: Layout) -> Array:
    return np.zeros((0, layout.height, layout.width, layout.channels), np.uint8)
