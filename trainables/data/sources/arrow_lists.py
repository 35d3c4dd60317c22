"""Reads images that a Parquet column holds as lists of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError


def is_list(kind: Any) -> bool:
    """Returns whether an Arrow type holds lists, plain or as the storage of an extension such as a tensor."""
    return _list_item(_storage_type(kind)) is not None


def stacked(array: Any, *, where: str, image_size: tuple[int, int] | None, channels: int | None) -> Array:
    """Returns an Arrow array of equal lists as (count, height, width) or (count, height, width, channels).

    A flat list of pixels takes its shape from image_size and channels.

    Raises:
        DataError: If lists differ in length, are null, or a flat list does not fit the shape.
    """
    shape = [len(array)]
    tensor_shape = getattr(array.type, "shape", None)
    level = array.storage if hasattr(array, "storage") else array
    while _list_item(level.type) is not None:
        shape.append(_common_length(level, where=where))
        level = level.flatten()
    if level.null_count:
        raise DataError(f"{where}: a pixel is missing (null); fill every pixel")
    pixels = np.asarray(level.to_numpy(zero_copy_only=False))
    if tensor_shape is not None:
        return pixels.reshape(len(array), *tensor_shape)
    if len(shape) == 2:
        shape = [len(array), *_flat_shape(shape[1], where=where, image_size=image_size, channels=channels)]
    return pixels.reshape(shape)


def _storage_type(kind: Any) -> Any:
    return getattr(kind, "storage_type", kind)


def _list_item(kind: Any) -> Any:
    import pyarrow as pa

    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return kind.value_type if nested else None


def _common_length(level: Any, *, where: str) -> int:
    import pyarrow.compute as pc

    if level.null_count:
        raise DataError(f"{where}: an image or a part of one is missing (null); fill it or remove the row")
    lengths = np.unique(np.asarray(pc.list_value_length(level)))
    if len(lengths) != 1:
        raise DataError(
            f"{where}: the lists of pixels differ in length: {lengths[:3].tolist()}; "
            "store images of one size, or encoded bytes (PNG, JPEG), which image_size can resize"
        )
    return int(lengths[0])


def _flat_shape(
    length: int, *, where: str, image_size: tuple[int, int] | None, channels: int | None
) -> tuple[int, int, int]:
    if image_size is None or channels is None:
        raise DataError(
            f"{where}: the pixels are a flat list of {length}, whose shape is unknown; "
            "set image_size: [height, width] and channels: 1 or 3"
        )
    if image_size[0] * image_size[1] * channels != length:
        raise DataError(
            f"{where}: the flat list has {length} pixels, but image_size {list(image_size)} and channels {channels} "
            f"make {image_size[0] * image_size[1] * channels}; correct image_size or channels"
        )
    return (*image_size, channels)
