"""Reads images that a Parquet column holds as lists of pixels."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.errors import DataError

#: Ray Data's names for tensors of one shape.
_RAY_TENSORS = b"ray.data.arrow_tensor"


def is_list(kind: Any) -> bool:
    """Returns whether an Arrow type holds lists, plain or as the storage of an extension such as a tensor."""
    return _list_item(_storage_type(kind)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatShape:
    """What is known of the shape of images that are flat lists of pixels.

    Attributes:
        tensor: The shape in the column's metadata, as Ray Data writes it; None if it has none.
        image_size: (height, width) of the study file.
        channels: Of the study file.
    """

    tensor: tuple[int, ...] | None
    image_size: tuple[int, int] | None
    channels: int | None


def tensor_shape(field: Any) -> tuple[int, ...] | None:
    """Returns the shape of a column's tensors, from its type or its metadata; None if it has none.

    Args:
        field: The column's Arrow field.
    """
    # Where Ray Data was imported, the type is known and has the shape itself.
    shape = getattr(field.type, "shape", None)
    if shape is not None:
        return tuple(shape)
    metadata = field.metadata or {}
    if not metadata.get(b"ARROW:extension:name", b"").startswith(_RAY_TENSORS):
        return None
    try:
        shape = json.loads(metadata[b"ARROW:extension:metadata"])
    except (KeyError, ValueError):
        return None
    if isinstance(shape, list) and len(shape) in (2, 3) and all(isinstance(size, int) for size in shape):
        return tuple(shape)
    return None


def stacked(array: Any, *, where: str, flat: FlatShape) -> Array:
    """Returns an Arrow array of equal lists as (count, height, width) or (count, height, width, channels).

    Args:
        array: Nested lists, fixed-shape tensors in any order of their axes, or flat lists.
        where: The array's name in errors.
        flat: The shape of flat lists.

    Raises:
        DataError: If lists differ in length, are null, or a flat list does not fit the shape.
    """
    import pyarrow as pa

    if isinstance(array.type, pa.FixedShapeTensorType):
        return _tensors(array, where=where)
    shape = [len(array)]
    level = array.storage if hasattr(array, "storage") else array
    while _list_item(level.type) is not None:
        shape.append(_common_length(level, where=where))
        level = level.flatten()
    if level.null_count:
        raise DataError(f"{where}: a pixel is missing (null); fill every pixel")
    pixels = np.asarray(level.to_numpy(zero_copy_only=False))
    if len(shape) == 2:
        shape = [len(array), *_flat_shape(shape[1], where=where, flat=flat)]
    return pixels.reshape(shape)


def _tensors(array: Any, *, where: str) -> Array:
    import pyarrow as pa

    if array.null_count or array.storage.flatten().null_count:
        raise DataError(f"{where}: an image or a pixel of one is missing (null); fill it or remove the row")
    # A tensor of a view lies in the view's own order of axes, which this undoes.
    order = array.type.permutation
    try:
        pixels = np.asarray(array.to_numpy_ndarray())
    except pa.ArrowInvalid as exc:
        raise DataError(
            f"{where}: the tensors' order of axes {order} cannot be read ({exc}); write the file again from "
            "np.ascontiguousarray(images)"
        ) from exc
    inverted = None if order is None else [array.type.shape[place] for place in np.argsort(order)]
    if inverted is not None and pixels.shape[-1] not in (1, 3) and inverted[-1] in (1, 3):
        # findings/pyarrow-turns-the-axes-of-a-view.sh
        raise DataError(
            f"{where}: the tensors have shape {list(pixels.shape[1:])} by the file's own order of axes {order}, and "
            f"were probably {inverted}: PyArrow writes some views with their axes inverted; write the file again from "
            "np.ascontiguousarray(images)"
        )
    return pixels


def _storage_type(kind: Any) -> Any:
    return getattr(kind, "storage_type", kind)


def _list_item(kind: Any) -> Any:
    import pyarrow as pa

    checks = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return kind.value_type if any(check(kind) for check in checks) else None


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


def _flat_shape(length: int, *, where: str, flat: FlatShape) -> tuple[int, ...]:
    if flat.tensor is not None and math.prod(flat.tensor) == length:
        return flat.tensor
    image_size, channels = flat.image_size, flat.channels
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
