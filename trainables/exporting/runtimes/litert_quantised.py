"""Formats `litert_float16`, `litert_dynamic_int8` and `litert_int8`: .tflite files of smaller weights."""

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainables.errors import ModelExportError
from trainables.exporting.runtimes.calibration import calibration_batches, layer_batches
from trainables.exporting.runtimes.conversion import LayerValues, RuntimeModel, Source
from trainables.exporting.runtimes.litert import (
    LITERT,
    computed_from,
    new_converter,
    open_litert,
    tensor_types,
    tensor_values,
)

_UNKNOWN_TO_INT8: Mapping[str, str] = {
    **LITERT.unknown,
    "Expm1": "int8 of LiteRT loses every positive value of celu; use elu or gelu, or export litert",
}


def _convert_float16(source: Source, path: Path) -> None:
    # Late: the process that verifies the file imports this module without TensorFlow.
    import tensorflow as tf

    converter = _optimizing(source)
    converter.target_spec.supported_types = [tf.float16]
    _write(converter, path, needed="float16")


def _convert_dynamic_int8(source: Source, path: Path) -> None:
    # Weights of a layer that has fewer than 1,024 stay float32, so that a small file may have no int8.
    _write(_optimizing(source), path)


def _convert_int8(source: Source, path: Path) -> None:
    # Late: likewise.
    import tensorflow as tf

    calibration_batches(source)  # Raises where there is no image: LiteRT would write float32 and say nothing.
    converter = _optimizing(source)
    # The other built-in operators are for what LiteRT has no int8 of, such as elu: it stays float32.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    # By name: a list would go to the inputs in an order that only the file knows.
    converter.representative_dataset = lambda: calibration_batches(source)
    _write(converter, path, needed="int8")


def _optimizing(source: Source) -> Any:
    # Late: likewise.
    import tensorflow as tf

    converter = new_converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


def _write(converter: Any, path: Path, *, needed: str = "") -> None:
    with warnings.catch_warnings():
        # TensorFlow calibrates by an interpreter that it has deprecated itself.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        path.write_bytes(converter.convert())
    if needed and needed not in (types := tensor_types(path)):
        raise ModelExportError(f"LiteRT made nothing {needed} in it, but {', '.join(types)}")


def _open(path: Path, threads: int) -> RuntimeModel:
    opened = open_litert(path, threads)
    return replace(opened, settings={**opened.settings, "tensors": tensor_types(path)})


def _layer_values(source: Source, path: Path) -> LayerValues:
    batches = layer_batches(source)
    with tempfile.TemporaryDirectory(dir=source.saved_model.parent, prefix=".layers.") as name:
        whole = Path(name) / "whole.tflite"
        LITERT.convert(source, whole)
        exact, before = tensor_values(whole, batches), computed_from(whole)
    return LayerValues(exact=exact, quantised=tensor_values(path, batches), before=before)


LITERT_FLOAT16 = replace(LITERT, convert=_convert_float16, open=_open)
LITERT_DYNAMIC_INT8 = replace(LITERT, convert=_convert_dynamic_int8, open=_open, layer_values=_layer_values)
LITERT_INT8 = replace(LITERT, convert=_convert_int8, open=_open, unknown=_UNKNOWN_TO_INT8, layer_values=_layer_values)
