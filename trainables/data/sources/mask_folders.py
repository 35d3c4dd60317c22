"""A folder of images beside a folder of masks, each mask named as its image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from trainables.data.images.decode import Encoded, EncodedImages, read_header
from trainables.data.images.masks import EncodedMasks
from trainables.data.sources.base import SPLIT_NAMES, OpenedSource, RawDataset, RawSplit, SplitName, content_hashes
from trainables.data.sources.folder_tree import Tree, image_tree, split_of, subfolders
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec

#: How many missing masks an error names.
_SHOWN = 10

#: (image, mask), in reading order.
Pairs = list[tuple[Path, Path]]


def open_mask_folders(spec: DataSpec, progress: OnProgress) -> OpenedSource:
    """Returns each split's images with the masks of their names, by their paths below the two folders.

    `path` or `train` is the folder of images and `masks` that of masks. Endings may differ; those of masks say nothing,
    as their content decides whether they can be class numbers. With a limit, the first images are taken.

    Raises:
        DataError: If images have no mask, or two images have one.
    """
    pairs: dict[SplitName, Pairs] = {}
    roots: dict[SplitName, tuple[Path, Path]] = {}
    notes: list[str] = []
    unused: dict[Path, set[Path]] = {}
    for split in SPLIT_NAMES:
        role = "path" if spec.path and split == "train" else split
        if (folder := getattr(spec, role)) is None:
            continue
        images, masks = roots[split] = (Path(folder), Path(spec.mask_folder(split) or folder))
        images_tree, masks_tree = _trees(images, masks, role=role)
        pairs[split] = _paired(images_tree, masks_tree, images=images, masks=masks)
        notes += images_tree.notes(root=images)
        free = unused.setdefault(masks, {path for _, path in masks_tree.images})
        free.difference_update(mask for _, mask in pairs[split])
    _demand_masks_of_one_split(pairs)
    notes += [_unused_note(folder, sorted(left)) for folder, left in unused.items() if left]
    pairs["train"] = pairs["train"][: spec.limit]
    named = [
        (f"{split} {place} {path.relative_to(root).as_posix()}", path)
        for split, listed in pairs.items()
        for place, paths, root in zip(("images", "masks"), zip(*listed, strict=True), roots[split], strict=True)
        for path in paths
    ]

    def read() -> RawDataset:
        splits = {
            split: _split(listed, spec, where=str(roots[split][0]), target=spec.lone_target)
            for split, listed in pairs.items()
        }
        return RawDataset(splits=splits)

    return OpenedSource(content=content_hashes(named, progress=progress), read=read, notes=tuple(notes))


def _trees(images: Path, masks: Path, *, role: str) -> tuple[Tree, Tree]:
    """Returns what lies below the two folders.

    Raises:
        DataError: If the first has no images, holds splits or the masks' own images, or both are one.
    """
    if images.resolve() == masks.resolve():
        raise DataError(f"data.masks: {masks} is the folder of the images, too; give masks a folder of their own")
    if splits := [folder.name for folder in subfolders(images, role=role) if split_of(folder.name) is not None]:
        raise DataError(
            f"data.{role}: the folders {splits} of {images} are splits by their names; give each split's images as a "
            f"path of their own (train: {images / splits[0]}, ...), and masks: with {{split}} for its name"
        )
    tree = image_tree(images, role=role, without=masks)
    if not tree.images:
        raise DataError(f"data.{role}: {images} has no images; name the folder of the images, beside that of the masks")
    return tree, image_tree(masks, role="masks", without=images)


def _paired(images_tree: Tree, masks_tree: Tree, *, images: Path, masks: Path) -> Pairs:
    by_stem: dict[str, list[Path]] = {}
    for _, path in masks_tree.images:
        by_stem.setdefault(_stem(path, root=masks), []).append(path)
    pairs: Pairs = []
    missing: list[Path] = []
    taken: dict[Path, Path] = {}
    for _, image in images_tree.images:
        found = by_stem.get(_stem(image, root=images), [])
        if len(found) > 1:
            raise DataError(f"{image}: both {found[0]} and {found[1]} have its name; keep one of the masks")
        if not found:
            missing.append(image)
        elif (other := taken.setdefault(found[0], image)) != image:
            raise DataError(f"{found[0]}: is the mask of both {other} and {image} by its name; rename one of them")
        else:
            pairs.append((image, found[0]))
    if missing:
        raise DataError(_missing_masks(missing, list(by_stem), count=len(images_tree.images), folders=(images, masks)))
    return pairs


def _missing_masks(missing: Sequence[Path], stems: Sequence[str], *, count: int, folders: tuple[Path, Path]) -> str:
    images, masks = folders
    shown = ", ".join(path.relative_to(images).as_posix() for path in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    name = re.escape(_stem(missing[0], root=images))
    # As a word of its own: 7_mask for 7, and not 17.
    beside = next((stem for stem in stems if re.search(rf"(?<![^\W_]){name}(?![^\W_])", stem, re.IGNORECASE)), None)
    cure = f"the folder has {beside!r}; write the names alike, or name images and masks in a table (source: csv)"
    return (
        f"data.masks: {len(missing)} of {count} images of {images} have no mask of their name in {masks}: "
        f"{shown}{more}; {cure if beside else 'add the masks, or remove the images'}"
    )


def _demand_masks_of_one_split(pairs: Mapping[SplitName, Pairs]) -> None:
    taken: dict[Path, tuple[SplitName, Path]] = {}
    for split, listed in pairs.items():
        for image, mask in listed:
            other, earlier = taken.setdefault(mask, (split, image))
            if other != split:
                raise DataError(
                    f"{mask}: is the mask of both {earlier} ({other}) and {image} ({split}) by its name; give the "
                    "masks of each split a folder of their own, masks: with {split} for its name"
                )


def _unused_note(folder: Path, left: Sequence[Path]) -> str:
    shown = ", ".join(path.relative_to(folder).as_posix() for path in left[:3]) + (", ..." if len(left) > 3 else "")
    return f"{folder}: masks without an image are left out: {len(left)} ({shown})"


def _split(pairs: Pairs, spec: DataSpec, *, where: str, target: str) -> RawSplit:
    images, masks = ([Encoded(where=str(path), content=path) for path in paths] for paths in zip(*pairs, strict=True))
    size_of = partial(read_header, pages=spec.pages)
    return RawSplit(
        where=where,
        images=EncodedImages(count=len(images), items=lambda: images),
        labels={},
        all_labels={},
        masks={
            target: EncodedMasks(
                count=len(masks), items=lambda: masks, image_sizes=lambda: (size_of(image).size for image in images)
            )
        },
    )


def _stem(path: Path, *, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
