"""Says what masks, the labels of each pixel, need of a study's other settings."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.specs.augment import AugmentSpec
from trainables.specs.targets import TargetSpec

#: The value of pixels that neither losses nor metrics count, such as unlabelled ones.
UNCOUNTED = 255
SOURCES_OF_MASKS = ("npz", "parquet", "images", "csv", "python")


def mask_problems(
    targets: Mapping[str, TargetSpec], *, source: str, folder: str | None, augment: AugmentSpec
) -> list[str]:
    """Returns a problem for each setting that a target of masks does not allow.

    Args:
        folder: The folder of masks, as the study file names it.
    """
    names = [name for name, target in targets.items() if target.kind == "mask"]
    if not names:
        stray = f"masks: needs a target of kind mask, got {folder!r} without one; add targets: {{mask: {{kind: mask}}}}"
        return [stray] if folder is not None else []
    problems = []
    if source not in SOURCES_OF_MASKS:
        problems.append(
            f"targets.{names[0]}: masks come from source {' or '.join(map(repr, SOURCES_OF_MASKS))}, got {source!r}; "
            "write a Parquet file with a column of PNG images for them, or an npz file"
        )
    if source == "images" and folder is None:
        problems.append(
            "masks: source 'images' needs the folder of the masks, got nothing; give masks: a folder of PNG files that "
            "are named as the images are"
        )
    problems += [
        f"targets.{name}.columns: the mask of an image is one file, got {list(targets[name].columns)}; name one column"
        for name in names
        if targets[name].columns
    ]
    mixing = [name for name in ("mixup", "cutmix") if getattr(augment, name)]
    problems += [
        f"augment.{name}: mixes two images and has no mask for the mixture, got {getattr(augment, name)} beside target "
        f"{names[0]!r} of masks; remove {name}"
        for name in mixing
    ]
    return problems
