"""Decides the rule by which samples become pixels, and says in sentences what was chosen and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainables.data.formats.facts import ALPHA, FLOAT, FRAMES, PAGES, UNUSED, WIDE
from trainables.data.images.grounds import ground_for, ground_of
from trainables.data.images.images import Images, Survey
from trainables.data.images.measures import Measure
from trainables.data.images.ranges import rule_of
from trainables.specs.data import DataSpec
from trainables.specs.pixels import BYTE_RANGE, WIDE_RANGE, PixelRule


def pixel_rule(train: Images, survey: Survey, *, spec: DataSpec) -> tuple[PixelRule, Sequence[str]]:
    """Returns the rule for all splits, decided on the training images, and sentences for the user.

    Args:
        train: The training images, before other splits are carved out of them.
        survey: What the headers of all images say.
        spec: The data section.
    """
    measure = Measure(pages=spec.pages)
    if spec.pixel_range == "auto" or (spec.background == "auto" and ALPHA in survey.traits):
        train.measure(measure)
    ground = ground_for(measure.alpha) if spec.background == "auto" else ground_of(spec.background)
    rule = rule_of(spec.pixel_range, byte=measure.byte, wide=measure.wide, ground=ground)
    return rule, [*_of_ranges(rule, measure, survey, spec=spec), *_of_traits(rule, measure, survey, spec=spec)]


def _of_ranges(rule: PixelRule, measure: Measure, survey: Survey, *, spec: DataSpec) -> Iterator[str]:
    if spec.pixel_range != "auto":
        return
    if rule.byte != BYTE_RANGE:
        yield (
            f"the largest pixel of the training images is {rule.byte[1]:g} of 255, so 0 to {rule.byte[1]:g} become 0 "
            "to 255 in all splits; data.pixel_range: full takes pixels as they are"
        )
    wide, seen = rule.wide, measure.wide
    beyond = ", and what lies beyond is limited" if "wide" in rule.cuts else ""
    if wide is not None and wide not in (BYTE_RANGE, WIDE_RANGE):
        yield (
            f"the training images have whole numbers from {seen.low:g} to {seen.high:g}: {wide[0]:g} to {wide[1]:g} "
            f"become 0 to 255 in all splits{beyond}; data.pixel_range sets other ends"
        )
    if wide == WIDE_RANGE and not seen.is_empty:
        yield (
            f"the training images have whole numbers from {seen.low:g} to {seen.high:g}; 0 to 65535 become 0 to 255; "
            "data.pixel_range sets other ends"
        )
    deep = survey.traits.get(WIDE, (0, []))[0] + survey.traits.get(FLOAT, (0, []))[0]
    if 0 < deep < survey.num_images:
        yield (
            f"{deep:,} of {survey.num_images:,} images have more than 8 bits a sample and the others 8; each kind is "
            "scaled by its own range"
        )


def _of_traits(rule: PixelRule, measure: Measure, survey: Survey, *, spec: DataSpec) -> Iterator[str]:
    if ALPHA in survey.traits:
        yield from _of_alpha(rule, measure, survey, spec=spec)
    if FRAMES in survey.traits:
        yield f"{_counted(survey, FRAMES)} more than one frame; the first is used"
    if spec.reduced_decoding:
        yield (
            "JPEGs that are shrunk are decoded at a reduced size, at least 1.5 times data.image_size, so that their "
            "pixels differ by a few of 255, at edges by up to 32 (data.reduced_decoding)"
        )
    if PAGES in survey.traits and spec.pages == "first":
        yield f"{_counted(survey, PAGES)} more than one page; the first is used (data.pages: first)"
    if PAGES in survey.traits and spec.pages == "channels":
        yield f"{_counted(survey, PAGES)} three pages, which are the channels of one image (data.pages: channels)"
    if UNUSED in survey.traits:
        yield f"{_counted(survey, UNUSED)} samples beside grey or RGB and alpha; they are left out"


def _of_alpha(rule: PixelRule, measure: Measure, survey: Survey, *, spec: DataSpec) -> Iterator[str]:
    counted, alpha = _counted(survey, ALPHA), measure.alpha
    if rule.ground is not None:
        reason = "data.background"
        if spec.background == "auto":
            reason = (
                f"without it, {alpha.lost:,} of {alpha.transparent:,} transparent training images lose their shapes; "
                "data.background sets another ground, or drop"
            )
        yield f"{counted} alpha; they are laid on {_colour(rule.ground)} ({reason})"
    elif spec.background == "drop":
        yield f"{counted} alpha, which is dropped (data.background: drop)"
    elif alpha.transparent:
        yield (
            f"{counted} alpha, which is dropped: the colours under the transparent pixels of {alpha.transparent:,} "
            "training images show; data.background: white lays them on white"
        )


def _counted(survey: Survey, trait: str) -> str:
    """Returns how many images have a trait, with examples."""
    number, places = survey.traits[trait]
    shown = ", ".join(places[:3]) + (", ..." if number > len(places[:3]) else "")
    return f"{number:,} of {survey.num_images:,} images ({shown}) have"


def _colour(ground: tuple[int, int, int]) -> str:
    names = {(255, 255, 255): "white", (0, 0, 0): "black"}
    return names.get(ground, f"[{', '.join(map(str, ground))}]")
