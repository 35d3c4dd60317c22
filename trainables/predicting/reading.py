"""How files of images become pixels for a model, as the manifest of its export says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables.data.images.images import Layout
from trainables.data.images.measures import LARGEST_DIM
from trainables.specs.pixels import BYTE_RANGE, WIDE_RANGE, PixelRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a model's images are read.

    Attributes:
        layout: What every image becomes.
        takes_any_size: Whether images of other sizes are resized, as those of the study were; else they are refused.
        takes_any_colors: Whether images with colour become grey where the model takes grey ones; else they are refused.
    """

    layout: Layout
    takes_any_size: bool
    takes_any_colors: bool


def reading_of(preprocessing: Mapping[str, Any], *, shape: tuple[int, int, int]) -> Reading:
    """Returns how a model's images are read.

    Args:
        preprocessing: That section of the manifest.
        shape: Of one image: height, width, channels.
    """
    # Exports before these keys: what was documented of them is that images are resized and recoloured.
    found = preprocessing.get("reading", {})
    height, width, channels = shape
    layout = Layout(
        height=height,
        width=width,
        channels=channels,
        rule=PixelRule.from_json(found["pixel_rule"]) if "pixel_rule" in found else _documented_rule(preprocessing),
        pages=found.get("pages", "refuse"),
        reduces=found.get("reduced_decoding", False),
    )
    return Reading(
        layout=layout,
        takes_any_size=found.get("takes_any_size", True),
        takes_any_colors=found.get("takes_any_colors", True),
    )


def _documented_rule(preprocessing: Mapping[str, Any]) -> PixelRule:
    ranges = preprocessing.get("pixel_range", {})
    byte, wide, real = (
        tuple(ranges.get(key, default))
        for key, default in (("8 bits", BYTE_RANGE), ("more bits", WIDE_RANGE), ("floats", (0, 1)))
    )
    ground = preprocessing.get("background")
    # As the study decided: samples are limited to a range that the user set for all, or that images of more bits gave.
    is_set = byte == wide == real
    is_full = wide in (BYTE_RANGE, WIDE_RANGE) or wide[1] <= LARGEST_DIM
    return PixelRule(
        byte=byte,
        wide=wide,
        real=real,
        cuts=("byte", "wide", "real") if is_set else () if is_full else ("wide",),
        ground=tuple(ground) if isinstance(ground, list) else None,
    )
