"""Parses tf.train.Example by protobuf, whose runtime TensorFlow brings, without TensorFlow.

The messages stand in a pool of their own: in protobuf's default pool they would collide with TensorFlow's.
"""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from trainables.errors import DataError

_PACKAGE = "convfleet_records"
#: Feature's alternatives: field number, type of the list's values.
_LISTS = {
    "bytes_list": (1, descriptor_pb2.FieldDescriptorProto.TYPE_BYTES),
    "float_list": (2, descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT),
    "int64_list": (3, descriptor_pb2.FieldDescriptorProto.TYPE_INT64),
}

#: The values of a feature: all of bytes, all floats (32 bits) or all whole numbers.
Values = list[bytes] | list[float] | list[int]


def parse_example(content: bytes, *, where: str) -> dict[str, Values]:
    """Returns the features of a serialized tf.train.Example by name; a feature without values has an empty list.

    Raises:
        DataError: If the bytes are no Example, or one without features.
    """
    try:
        example: Any = _example_class().FromString(content)
    except message.DecodeError as exc:
        raise DataError(f"{where}: is no tf.train.Example: {exc}; write such records") from exc
    features = {name: _values(feature) for name, feature in example.features.feature.items()}
    if not features:
        raise DataError(f"{where}: is no tf.train.Example with features (a SequenceExample?); write such records")
    return features


def _values(feature: Any) -> Values:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


@functools.cache
def _example_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _file() -> Any:
    """Returns tensorflow/core/example/example.proto and feature.proto, whose field numbers never change."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for name, (number, kind) in _LISTS.items():
        values = file.message_type.add(name=f"L{number}")
        values.field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
        feature.field.add(
            name=name, number=number, type=field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.L{number}", oneof_index=0
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING)
    entry.field.add(name="value", number=2, type=field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.Feature")
    features.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.Features.FeatureEntry",
    )
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, type=field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.Features")
    return file
