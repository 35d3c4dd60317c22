"""Keeps images in their formats: one file with all bytes, one with each image's offset; reading a row decodes it."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.cache.array_folder import load_array, write_array
from trainables.data.images.decode import Encoded, decode
from trainables.data.images.images import Array, EncodableImages, Layout
from trainables.errors import DataError


def write_encoded(
    folder: Path, name: str, images: EncodableImages, *, layout: Layout, on_batch: Callable[[Array], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes a split's images in their own formats.

    Args:
        folder: The cache entry.
        name: The split's name.
        images: The split's images, already surveyed.
        layout: The shape of decoded images. Each is decoded once, so that no trial is the first to meet one that cannot
            be.
        on_batch: Receives the decoded images, piece by piece.

    Returns:
        The records of both arrays, and the record that an array of the decoded images would have.
    """
    ends: list[int] = [0]
    digest, shapes = hashlib.sha256(), [(0, 0, 0, 0)]

    def pieces() -> Iterator[Array]:
        for contents, pixels in images.encoded_batches(layout):
            for content in contents:
                ends.append(ends[-1] + len(content))
                yield np.frombuffer(content, np.uint8)
            digest.update(np.ascontiguousarray(pixels).data)
            shapes.append(pixels.shape)
            on_batch(pixels)

    written = write_array(folder / f"{name}_bytes.npy", batches=pieces(), dtype=np.uint8, shape=(None,))
    num_rows = sum(shape[0] for shape in shapes)
    if num_rows != len(images):
        raise DataError(f"{name}: expected {len(images)} images, got {num_rows}; did the files change? Run again")
    offsets = write_array(folder / f"{name}_offsets.npy", batches=[np.array(ends)], dtype=np.int64, shape=(len(ends),))
    pixels_record = {"shape": [num_rows, *shapes[-1][1:]], "sha256": digest.hexdigest()}
    return {f"{name}_bytes": written, f"{name}_offsets": offsets}, pixels_record


class EncodedRows:
    """A split's images in image formats, with the array's interface; every access reads and decodes its rows.

    Rows are read with calls, not through a memory map, so that this process's memory does not keep them.

    Args:
        folder: The cache entry.
        name: The split's name in the entry.
        manifest: The manifest of the entry.

    Raises:
        DataError: If the entry is damaged.
    """

    def __init__(self, folder: Path, name: str, *, manifest: Mapping[str, Any]) -> None:
        self._folder, self._name = folder, name
        rows, height, width, channels = manifest["pixels"][f"{name}_images"]["shape"]
        #: (rows, height, width, channels) of the array of all decoded images.
        self.shape: tuple[int, int, int, int] = (rows, height, width, channels)
        #: The error of the last `fetch` that failed.
        self.failure: DataError | None = None
        self._offsets = np.asarray(load_array(folder, f"{name}_offsets", manifest=manifest))
        content = load_array(folder, f"{name}_bytes", manifest=manifest)
        self._check_offsets(len(content))
        self._first_byte = int(getattr(content, "offset"))  # noqa: B009 - an attribute of memory maps, unknown to Array
        self._file = os.open(folder / f"{name}_bytes.npy", os.O_RDONLY)
        # Kept open: an entry that is rebuilt during a training does not change what the training reads.
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: Array) -> Array:
        """Returns uint8 (count, height, width, channels), the images of these rows.

        Raises:
            DataError: If an image cannot be read or decoded.
        """
        _, height, width, channels = self.shape
        num_inputs = (len(self._offsets) - 1) // max(1, len(self))
        layout = Layout(height=height, width=width, channels=channels // max(1, num_inputs))
        images = np.empty((len(rows), height, width, channels), np.uint8)
        for image, row in zip(images, np.asarray(rows).tolist(), strict=True):
            for place in range(num_inputs):
                first = place * layout.channels
                decoded = self._decoded(row, place=row * num_inputs + place, layout=layout)
                image[..., first : first + layout.channels] = decoded
        return images

    def fetch(self, rows: Array) -> Array:
        """Returns the images of these rows; keeps an error in `failure`, for callers that get only TensorFlow's."""
        try:
            return self[rows]
        except DataError as exc:
            self.failure = exc
            raise

    def _decoded(self, row: int, *, place: int, layout: Layout) -> Array:
        begin, end = (int(offset) for offset in self._offsets[place : place + 2])
        where = f"{self._name}_bytes.npy row {row}"
        try:
            content = os.pread(self._file, end - begin, self._first_byte + begin)
            return decode(Encoded(where=where, content=content), layout=layout)
        except (OSError, DataError) as exc:
            reason = f"the image in {where} cannot be read any more ({_reason(exc)})"
            raise self._damaged(reason) from exc

    def _check_offsets(self, num_bytes: int) -> None:
        offsets, rows = self._offsets, self.shape[0]
        if (
            (len(offsets) - 1) % max(1, rows)
            or offsets[0] != 0
            or offsets[-1] != num_bytes
            or (np.diff(offsets) <= 0).any()
        ):
            raise self._damaged(f"{self._name}_offsets.npy does not fit {self._name}_bytes.npy")

    def _damaged(self, what: str) -> DataError:
        # The files' sizes are unchanged, so preparing would accept the entry as whole.
        return DataError(
            f"cached data set {self._folder} is damaged: {what}; remove this folder and resume, which rebuilds it"
        )


def _reason(exc: Exception) -> str:
    """Returns why a picture cannot be read, as its error says it."""
    return str(exc).removeprefix("cannot be read as an image: ")
