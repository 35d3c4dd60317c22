"""Tells pictures apart by a short hash of their pixels, and counts those that are blank or grey."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from trainables.data.images.images import Array

#: Bytes of a picture's hash: among a million pictures, two different ones share it with a chance of 3 in 10^8.
DIGEST_BYTES = 8


def pixel_digests(images: Array) -> Array:
    """Returns uint64 (count,): equal numbers for pictures of equal pixels.

    >>> one, other, again = pixel_digests(np.array([[[[1]]], [[[2]]], [[[1]]]], np.uint8)).tolist()
    >>> one == again, one == other
    (True, False)

    Args:
        images: uint8 (count, height, width, channels).
    """
    if not len(images):
        return np.zeros(0, np.uint64)
    size = images[0].nbytes
    pixels = np.ascontiguousarray(images).data.cast("B")
    places = range(0, len(pixels), size)
    digests = [blake2b(pixels[place : place + size], digest_size=DIGEST_BYTES).digest() for place in places]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def blank_pictures(moments: Array, *, num_pixels: int) -> Array:
    """Returns bool (count,): whether all pixels of a picture are equal, in every channel.

    Args:
        moments: int64 (count, channels, 2): sums of pixels and of their squares.
        num_pixels: The pixels of one channel of one picture.
    """
    sums, squares = moments[..., 0], moments[..., 1]
    # Numbers that have the mean v and the mean square v * v are all v.
    values = sums // num_pixels
    is_even = (values * num_pixels == sums) & (values * values * num_pixels == squares)
    return np.asarray(is_even.all(axis=1))


def grey_pictures(images: Array, moments: Array, *, channels: int) -> Array:
    """Returns bool (count,): whether red, green and blue of every image of a row are equal, pixel by pixel.

    Args:
        images: uint8 (count, height, width, inputs * channels).
        moments: Theirs, int64 (count, inputs * channels, 2): images whose sums differ are not compared.
        channels: Channels of one image.
    """
    if channels != 3:
        return np.zeros(len(images), np.bool_)
    by_image = moments.reshape(len(images), -1, channels, 2)
    is_grey = np.asarray((by_image == by_image[:, :, :1]).all(axis=(1, 2, 3)))
    for row in np.flatnonzero(is_grey):
        pixels = images[row].reshape(-1, channels)
        is_grey[row] = (pixels == pixels[:, :1]).all()
    return is_grey
