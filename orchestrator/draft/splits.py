"""Chooses before anything is decoded: the shares of the splits, and the size that images get."""

from collections.abc import Iterator

from orchestrator.draft.budget import VERY_FEW_VALIDATION
from orchestrator.draft.choice import Choice
from trainables.data.guess.looking import Found

#: Longest sides in pixels: what the built-in spaces are made for, backbones of photos, and masks.
USUAL_SIDE, TRANSFER_SIDE, MASK_SIDE = 64, 96, 128
#: Sides of masks are halved so many times.
_MASK_STEP = 16
#: Images, validation aside, below which a tenth of them says little.
_FEW, _VERY_FEW = 2_000, 400


def split_choices(found: Found) -> Iterator[Choice]:
    """Yields the shares that are held out, where the source has no such split."""
    num_images, has_test = found.splits["train"], "test" in found.splits
    test = 0 if has_test else round(num_images * 0.2)
    if not has_test:
        reason = f"{test:,} of {num_images:,} images are kept for the end and steer nothing"
        yield Choice(key="data.test_fraction", value=0.2, reason=reason)
    if "validation" in found.splits:
        return
    rest = num_images - test
    share = 0.25 if rest < _VERY_FEW else 0.2 if rest < _FEW else 0.1
    held = max(1, round(rest * share))
    reason = f"{held:,} images decide which variant is best; one of them is {1 / held:.2g} of the accuracy"
    if held < VERY_FEW_VALIDATION:
        reason += ". So few leave much to luck, which `schedule.repeats` below lowers"
    yield Choice(key="data.validation_fraction", value=share, reason=reason)


def size_choice(found: Found, *, is_transfer: bool, has_masks: bool) -> Choice | None:
    """Returns the size that all images get; None where they keep their own.

    Args:
        found: The images' sizes.
        is_transfer: Whether a pretrained backbone sees them.
        has_masks: Whether a class for each pixel is predicted.
    """
    limit = TRANSFER_SIDE if is_transfer else MASK_SIDE if has_masks else USUAL_SIDE
    height, width = found.usual_size
    is_mixed, is_large = len(found.sizes) > 1, max(height, width) > limit
    wanted = _scaled((height, width), limit=limit)
    if has_masks:
        wanted = tuple(max(_MASK_STEP, round(side / _MASK_STEP) * _MASK_STEP) for side in wanted)
    if not is_mixed and not is_large and wanted == (height, width):
        return None
    of = f"{len(found.sizes)} sizes, mostly about {height}x{width}" if is_mixed else f"{height}x{width} pixels"
    why = {
        True: f"fewer pixels train faster, and the longer side is at most {limit}",
        False: "all images of a network have one size",
    }[is_large]
    reason = f"images have {of} (height x width); {why}"
    if is_large:
        reason += "; more may show finer detail, at a cost that grows with its square"
    if has_masks:
        reason += f"; sides are multiples of {_MASK_STEP}, as they are halved up to four times"
    return Choice(key="data.image_size", value=list(wanted), reason=reason)


def _scaled(size: tuple[int, int], *, limit: int) -> tuple[int, ...]:
    """Returns a size whose longer side is at most the limit, its proportions kept, sides at least 8.

    >>> _scaled((480, 640), limit=64), _scaled((28, 28), limit=64)
    ((48, 64), (28, 28))
    """
    factor = min(1.0, limit / max(size))
    return tuple(max(8, round(side * factor)) if factor < 1 else side for side in size)
