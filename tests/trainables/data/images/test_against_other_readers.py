"""A random valid picture that one library wrote gives the pixels that a second one reads, or is refused in words."""

from collections import Counter

import numpy as np
import pytest
from random_pictures import draw

from trainables.data.formats.refusals import PictureError
from trainables.data.formats.samples import read_header
from trainables.data.images.decode import Encoded, compact, decode
from trainables.data.images.images import Layout
from trainables.specs.pixels import PixelRule

PER_PART, PARTS = 60, 8


def expected_pixels(drawn, *, low, high):
    """The pixels of a drawn picture by the documented formula, (height, width, channels)."""
    samples = np.asarray(drawn.samples)
    samples = samples[..., np.newaxis] if samples.ndim == 2 else samples
    if drawn.has_alpha:
        samples = samples[..., :-1]
    samples = samples[..., :3]
    if samples.dtype == np.uint8:
        return samples
    return np.rint((samples.astype(np.float64) - low) * 255.0 / (high - low)).clip(0, 255).astype(np.uint8)


def limits_of(samples):
    if samples.dtype == np.uint16:
        return 0.0, 65535.0
    return float(samples.min()), float(samples.max()) + (1.0 if samples.min() == samples.max() else 0.0)


def our_pixels(item, rule):
    """Returns a picture's header, layout and pixels, or the error that refuses it."""
    try:
        header = read_header(item)
        layout = Layout(height=header.size[0], width=header.size[1], channels=3 if header.has_colour else 1, rule=rule)
        return header, layout, decode(item, layout=layout)
    except PictureError as exc:
        return exc


def check(number):
    """Compares one picture; returns what became of it."""
    drawn = draw(number)
    item = Encoded(where="x", content=drawn.content)
    low, high = limits_of(drawn.samples)
    ours = our_pixels(item, PixelRule(wide=(low, high), real=(low, high), cuts=("wide", "real")))
    if isinstance(ours, PictureError):
        assert drawn.is_refused or drawn.may_be_refused, (drawn.about, str(ours))
        assert len(str(ours)) > 20
        return "refused"
    header, layout, pixels = ours
    assert not drawn.is_refused, drawn.about
    expected = expected_pixels(drawn, low=low, high=high)
    assert header.size == expected.shape[:2], drawn.about
    assert header.has_colour or (expected == expected[..., :1]).all(), drawn.about
    difference = np.abs(pixels.astype(int) - expected.astype(int)).max()
    assert difference <= drawn.tolerance, (drawn.about, int(difference))
    kept, _ = compact(item, layout=layout)
    plain = Layout(height=layout.height, width=layout.width, channels=layout.channels)
    assert np.array_equal(decode(Encoded(where="x", content=kept), layout=plain), pixels), drawn.about
    return "read"


# Pillow finds Exif data of another order of bytes in big-endian files.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("part", range(PARTS))
def test_random_pictures_are_what_a_second_library_reads(part):
    found = Counter(check(number) for number in range(part * PER_PART, (part + 1) * PER_PART))
    assert found["read"] >= 0.7 * PER_PART
