"""Arrays by name in one file: a JSON header with names, types and places, then plain bytes; nothing is unpickled.

The layout is that of safetensors (https://github.com/huggingface/safetensors#format): eight bytes with the header's
length, the header, the arrays in its order. Written and hashed in one pass: against `np.savez`, whose zip needs a
checksum of its own and a second reading for the sha256, that takes half the time or less.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.files.manifests import fingerprint_of

_ALIGNMENT = 8
_HEADER_LENGTH_BYTES = 8
_TYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "bfloat16": "BF16",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
_NAMES = {code: name for name, code in _TYPES.items()}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, is_durable: bool) -> dict[str, Any]:
    """Writes a new file and returns its size and sha256.

    Args:
        is_durable: Whether the file is flushed to the disk before this function returns.

    Raises:
        ValueError: An array is of Python objects, or of another type that is no number.
    """
    header = _header(arrays)
    digest, size = hashlib.sha256(), 0
    with path.open("xb", buffering=1 << 20) as file:
        for part in (len(header).to_bytes(_HEADER_LENGTH_BYTES, "little"), header, *map(_plain_bytes, arrays.values())):
            file.write(part)
            digest.update(part)
            size += len(part)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def read_arrays(path: Path, *, fingerprint: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the arrays of a file, not writable, after verifying every byte.

    Raises:
        ValueError: The file is not the one of the fingerprint, or holds anything but arrays.
    """
    data = path.read_bytes()
    if fingerprint_of(data) != fingerprint:
        raise ValueError(f"{path.name}: size or sha256 differ")
    start = _HEADER_LENGTH_BYTES + int.from_bytes(data[:_HEADER_LENGTH_BYTES], "little")
    header = json.loads(data[_HEADER_LENGTH_BYTES:start])
    body = memoryview(data)[start:]
    return {name: _array(name, entry, body=body) for name, entry in header.items()}


def _header(arrays: Mapping[str, np.ndarray]) -> bytes:
    header: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise ValueError(f"{name}: arrays of {array.dtype} cannot be saved, only of {', '.join(_TYPES)}")
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _TYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
    data = json.dumps(header, separators=(",", ":")).encode()
    return data + b" " * (-len(data) % _ALIGNMENT)


def _plain_bytes(array: np.ndarray) -> Any:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data


def _array(name: str, entry: Mapping[str, Any], *, body: memoryview) -> np.ndarray:
    dtype, shape, (begin, end) = _dtype(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name}: shape {shape} at {begin}-{end} cannot be")
    if end > len(body) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: shape {shape} does not fill bytes {begin}-{end} of {len(body)}")
    return np.frombuffer(body[begin:end], dtype).reshape(shape)


def _dtype(code: str) -> np.dtype[Any]:
    if code not in _NAMES:
        raise ValueError(f"type {code!r} is not known")
    if _NAMES[code] == "bfloat16":
        # Late: NumPy has bfloat16 only through this package, which TensorFlow installs.
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(_NAMES[code])
