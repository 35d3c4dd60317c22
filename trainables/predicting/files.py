"""Finds the image files that a user names, and reads each as the study's own readers read its images."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trainables.data.formats.refusals import PictureError
from trainables.data.images.decode import Encoded, decode, read_header
from trainables.data.images.images import Array
from trainables.data.sources.folder_tree import SUFFIXES, SYSTEM_FILES, SYSTEM_FOLDERS
from trainables.errors import DataError
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


#: The files of one example, one for each input of a model.
Example = tuple[NamedFile, ...]


def listed_examples(paths: Sequence[str], *, inputs: Sequence[str]) -> list[Example]:
    """Returns the examples that paths name, in their order; the files of a folder by name, with its subfolders.

    Args:
        paths: For a model of one input, files of any name, and folders, of which files with the ending of an image
            count. For one of several, a file or a folder for each input: files of one name belong together.
        inputs: The names of the model's inputs.

    Raises:
        DataError: The paths are not one for each of several inputs.
    """
    if len(inputs) == 1:
        return [(file,) for path in paths for file in _below(Path(path))]
    are_folders = {Path(path).is_dir() for path in paths}
    if len(paths) != len(inputs) or len(are_folders) > 1:
        raise DataError(
            f"images: the model takes {len(inputs)} images an example; give {len(inputs)} files, or {len(inputs)} "
            f"folders with files of equal names, in the order {', '.join(inputs)}, got {', '.join(paths)}"
        )
    if are_folders == {False}:
        return [tuple(file for path in paths for file in _below(Path(path)))]
    return _matched([_by_name(Path(path)) for path in paths], folders=paths)


def _by_name(folder: Path) -> dict[str, list[NamedFile]]:
    """Returns the files of a folder by their paths below it, without their endings."""
    found: dict[str, list[NamedFile]] = {}
    for file in _below(folder):
        name = "" if file.problem else file.path.relative_to(folder).with_suffix("").as_posix()
        found.setdefault(name, []).append(file)
    return found


def _matched(by_name: Sequence[Mapping[str, list[NamedFile]]], *, folders: Sequence[str]) -> list[Example]:
    """Returns an example for each name that every folder has once; of the others, each file alone, with its problem."""
    examples: list[Example] = []
    for name in sorted({name for found in by_name for name in found}):
        files = [found.get(name, []) for found in by_name]
        missing = [folder for folder, some in zip(folders, files, strict=True) if not some]
        if all(len(some) == 1 and not some[0].problem for some in files):
            examples.append(tuple(some[0] for some in files))
            continue
        problem = f"has no counterpart in {missing[0]}" if missing else f"is one of several files called {name}"
        alone = (
            file if file.problem else NamedFile(path=file.path, problem=problem) for some in files for file in some
        )
        examples += [(file,) for file in alone]
    return examples


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


def read_examples(
    examples: Sequence[Example], export: ExportedModel, *, at_once: int
) -> Iterator[tuple[list[list[Path]], Array, list[NamedFile]]]:
    """Yields examples in batches: the paths of each, their pixels, and the refused files, each with its problem.

    The pixels are uint8 (count, height, width, channels), those of several inputs one behind another. An example with
    a refused file is left out.

    Args:
        examples: In order.
        export: The model that takes the images.
        at_once: How many examples a batch has.
    """
    with ThreadPoolExecutor(max_workers=usable_cpus(), thread_name_prefix="decode") as pool:
        for start in range(0, len(examples), at_once):
            kept: list[list[Path]] = []
            images: list[Array] = []
            refused: list[NamedFile] = []
            some = examples[start : start + at_once]
            read = pool.map(partial(_pixels_or_problem, export=export), [file for files in some for file in files])
            for files in some:
                own = [next(read) for _ in files]
                pixels = [found for found in own if not isinstance(found, str)]
                refused += [
                    NamedFile(path=file.path, problem=found)
                    for file, found in zip(files, own, strict=True)
                    if isinstance(found, str)
                ]
                if len(pixels) == len(export.task.inputs):
                    kept.append([file.path for file in files])
                    images.append(np.concatenate(pixels, axis=-1))
            yield kept, np.stack(images) if images else _none(export), refused


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


def _none(export: ExportedModel) -> Array:
    layout = export.layout
    return np.zeros((0, layout.height, layout.width, layout.channels * len(export.task.inputs)), np.uint8)
