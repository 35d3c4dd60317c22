"""Says what masks, the labels of each pixel, need of a study's other settings."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.specs.augment import AugmentSpec
from trainables.specs.targets import TargetSpec

#: The value of pixels that neither losses nor metrics count, such as unlabelled ones.
UNCOUNTED = 255
SOURCES_OF_MASKS = ("npz", "parquet", "python")


def mask_problems(targets: Mapping[str, TargetSpec], *, source: str, augment: AugmentSpec) -> list[str]:
    """Returns a problem for each setting that a target of masks does not allow."""
    names = [name for name, target in targets.items() if target.kind == "mask"]
    if not names:
        return []
    problems = []
    if source not in SOURCES_OF_MASKS:
        problems.append(
            f"targets.{names[0]}: masks come from source {' or '.join(map(repr, SOURCES_OF_MASKS))}, got {source!r}; "
            "write a Parquet file with a column of PNG images for them, or an npz file"
        )
    mixing = [name for name in ("mixup", "cutmix") if getattr(augment, name)]
    problems += [
        f"augment.{name}: mixes two images and has no mask for the mixture, got {getattr(augment, name)} beside target "
        f"{names[0]!r} of masks; remove {name}"
        for name in mixing
    ]
    return problems
