"""Requests and answers of the KServe v2 protocol (Open Inference Protocol), with its binary tensors.

Source: KServe, "Open Inference Protocol (V2)", and Triton's extension `binary_tensor_data`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.names import what_there_is
from orchestrator.serving.batches import NamedArrays
from orchestrator.serving.described import DescribedInput, DescribedVersion
from orchestrator.text import shown

#: How many bytes of a body are JSON, where tensors follow it.
HEADER_LENGTH = "Inference-Header-Content-Length"
#: Python refuses to read numbers of thousands of digits.
_LENGTH = re.compile(r"[0-9]{1,18}")
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "convfleet"
#: NumPy's type of each datatype that pixels may have; the protocol's bytes are little-endian.
_TYPES = {
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_OUTPUT_TYPE = "FP32"
_LONGEST_ID = 256


class RequestRefusedError(OrchestratorError):
    """A request that gets no answer but a status and a sentence.

    Args:
        message: What was received, and what to send instead.
        status: Of HTTP, 400 to 599.
        headers: Further headers of the answer.
    """

    def __init__(self, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """A request that can be answered.

    Attributes:
        id: What the caller calls it; None: nothing.
        images: float32 of 0 to 255 by input name, equally many for each.
        outputs: Whether each wanted output comes as bytes, by its name, in the order of the answer.
    """

    id: str | None
    images: NamedArrays
    outputs: Mapping[str, bool]


def parsed_request(body: bytes, *, header_length: str | None, described: DescribedVersion) -> InferRequest:
    """Returns the request in a body.

    Args:
        body: JSON, and behind it the bytes of tensors, if any.
        header_length: How many bytes are JSON; None: all.
        described: The model that it is for.

    Raises:
        RequestRefusedError: If it is malformed, or not for this model.
    """
    content, rest = _parts(body, header_length)
    name = content.get("id")
    if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_ID):
        _refuse(f"id: must be a text of at most {_LONGEST_ID} letters, got {shown(name)}")
    tensors = _named(content.get("inputs"), known=[named.name for named in described.inputs], what="inputs")
    images, start = {}, 0
    for place, tensor in enumerate(tensors):
        named = next(item for item in described.inputs if item.name == tensor["name"])
        size = _parameters(tensor, where=f"inputs[{place}]").get("binary_data_size")
        where = f"inputs[{place}] ({named.name})"
        if size is None:
            images[named.name] = _checked(_from_json(tensor, named, where=where), where=where)
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - start:
            left = len(rest) - start
            _refuse(f"{where}: binary_data_size must be at most the {left} bytes left of the body, got {shown(size)}")
        images[named.name] = _checked(_from_bytes(tensor, named, rest[start : start + size], where=where), where=where)
        start += size
    if start != len(rest):
        _refuse(f"{len(rest) - start} bytes behind the last tensor belong to none; check {HEADER_LENGTH}")
    if missing := [named.name for named in described.inputs if named.name not in images]:
        _refuse(f"inputs: {', '.join(missing)} is missing; the model takes one tensor for each of its inputs")
    if len({len(array) for array in images.values()}) > 1:
        counts = {key: len(array) for key, array in images.items()}
        _refuse(f"inputs: must have equally many images, got {counts}")
    return InferRequest(id=name, images=images, outputs=_wanted(content, described))


def encoded_answer(
    request: InferRequest, outputs: NamedArrays, *, version: ModelVersion
) -> tuple[bytes, Sequence[bytes]]:
    """Returns an answer's JSON, and the bytes of tensors that follow it."""
    tensors, follow = [], []
    for name, is_binary in request.outputs.items():
        array = np.ascontiguousarray(outputs[name], "<f4")
        tensor: dict[str, Any] = {"name": name, "datatype": _OUTPUT_TYPE, "shape": list(array.shape)}
        if is_binary:
            follow.append(array.tobytes())
            tensor["parameters"] = {"binary_data_size": len(follow[-1])}
        else:
            tensor["data"] = array.reshape(-1).tolist()
        tensors.append(tensor)
    answer = {"model_name": version.name, "model_version": str(version.version), "outputs": tensors}
    return json.dumps(answer if request.id is None else {**answer, "id": request.id}).encode(), follow


def model_metadata(described: DescribedVersion, *, versions: Sequence[int]) -> dict[str, Any]:
    """Returns what the protocol says of a model."""
    inputs = [{"name": named.name, "datatype": _OUTPUT_TYPE, "shape": [-1, *named.shape]} for named in described.inputs]
    outputs = [
        {
            "name": named.name,
            "datatype": _OUTPUT_TYPE,
            "shape": [-1, *named.shape],
            "parameters": {"target": named.target, "kind": named.kind, "class_names": list(named.class_names)},
        }
        for named in described.outputs
    ]
    return {
        "name": described.version.name,
        "versions": [str(number) for number in versions],
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": outputs,
        "parameters": {"model_version": str(described.version.version)},
    }


def _parts(body: bytes, header_length: str | None) -> tuple[dict[str, Any], bytes]:
    length = len(body)
    if header_length is not None:
        length = int(header_length) if _LENGTH.fullmatch(header_length) else -1
        if not 0 < length <= len(body):
            _refuse(f"{HEADER_LENGTH}: must be 1 to the {len(body)} bytes of the body, got {shown(header_length[:80])}")
    try:
        content = json.loads(body[:length].decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)[:200]
        _refuse(f"the body is no JSON: {reason}")
    if not isinstance(content, dict):
        _refuse(f"the body must be a JSON object with inputs, got {shown(content)}")
    return content, body[length:]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _named(listed: Any, *, known: Sequence[str], what: str) -> list[dict[str, Any]]:
    """Returns a list of objects that each have another one of the known names."""
    if not isinstance(listed, list) or not listed:
        _refuse(f"{what}: must be a list of objects, one for each of {', '.join(known)}, got {shown(listed)}")
    names = []
    for place, item in enumerate(listed):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            _refuse(f"{what}[{place}]: must be an object with a name, got {shown(item)}")
        if name not in known:
            _refuse(f"{what}[{place}]: the model has no {shown(name)}{what_there_is(name[:100], known, kind=what)}")
        if name in names:
            _refuse(f"{what}[{place}]: {name} comes twice")
        names.append(name)
    return listed


def _parameters(item: Mapping[str, Any], *, where: str) -> Mapping[str, Any]:
    found = item.get("parameters", {})
    if not isinstance(found, dict):
        _refuse(f"{where}: parameters must be an object, got {shown(found)}")
    return found


def _wanted(content: Mapping[str, Any], described: DescribedVersion) -> dict[str, bool]:
    known = [named.name for named in described.outputs]
    usual = _parameters(content, where="the request").get("binary_data_output", False)
    if not isinstance(usual, bool):
        _refuse(f"parameters: binary_data_output must be true or false, got {shown(usual)}")
    listed = content.get("outputs")
    if listed is None or listed == []:
        return dict.fromkeys(known, usual)
    wanted = {}
    for place, item in enumerate(_named(listed, known=known, what="outputs")):
        parameters = _parameters(item, where=f"outputs[{place}]")
        is_binary = parameters.get("binary_data", usual)
        if not isinstance(is_binary, bool):
            _refuse(f"outputs[{place}]: binary_data must be true or false, got {shown(is_binary)}")
        if parameters.get("classification"):
            _refuse(f"outputs[{place}]: classification is not offered; the metadata of the model has its class_names")
        wanted[item["name"]] = is_binary
    return wanted


def _type_and_shape(tensor: Mapping[str, Any], named: DescribedInput, *, where: str) -> tuple[str, tuple[int, ...]]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(datatype, str) or datatype not in _TYPES:
        _refuse(f"{where}: datatype must be one of {', '.join(_TYPES)}, got {shown(datatype)}")
    expected = f"[images, {', '.join(map(str, named.shape))}] with at least one image"
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        _refuse(f"{where}: shape must be {expected}, got {shown(shape)}")
    if tuple(shape[1:]) != named.shape or not 1 <= shape[0] < 2**31:
        _refuse(f"{where}: shape must be {expected}, got {shown(shape)}")
    return _TYPES[datatype], tuple(shape)


def _from_bytes(tensor: Mapping[str, Any], named: DescribedInput, content: bytes, *, where: str) -> np.ndarray:
    kind, shape = _type_and_shape(tensor, named, where=where)
    if "data" in tensor:
        _refuse(f"{where}: has data in JSON and binary_data_size as well; send one of them")
    expected = math.prod(shape) * np.dtype(kind).itemsize
    if len(content) != expected:
        _refuse(f"{where}: {tensor['datatype']} of shape {list(shape)} takes {expected} bytes, got {len(content)}")
    return np.frombuffer(content, kind).reshape(shape)


def _from_json(tensor: Mapping[str, Any], named: DescribedInput, *, where: str) -> np.ndarray:
    kind, shape = _type_and_shape(tensor, named, where=where)
    data = tensor.get("data")
    if not isinstance(data, list):
        _refuse(f"{where}: data must be a list of numbers, flat or nested, got {shown(data)}")
    try:
        array = np.asarray(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise RequestRefusedError(f"{where}: data must be numbers of shape {list(shape)}, flat or nested") from exc
    if array.dtype.kind not in "iuf":
        _refuse(f"{where}: data must be numbers, flat or nested, of one length at each depth")
    if array.size != math.prod(shape) or array.shape not in (shape, (array.size,)):
        _refuse(f"{where}: data has shape {list(array.shape)}, where shape says {list(shape)}")
    if np.dtype(kind).kind in "iu" and array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
        _refuse(f"{where}: {tensor['datatype']} takes whole numbers; send FP32 for others")
    return array.reshape(shape)


def _checked(array: np.ndarray, *, where: str) -> np.ndarray:
    """Returns pixels as float32.

    Raises:
        RequestRefusedError: If one of them is none.
    """
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 255.0):
        _refuse(f"{where}: pixels must be 0 to 255, which the model scales itself, got {low:g} to {high:g}")
    return array.astype(np.float32)


def _refuse(message: str) -> NoReturn:
    raise RequestRefusedError(message)
