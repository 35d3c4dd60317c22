"""The formats of runtimes other than TensorFlow, by name; no TensorFlow."""

from collections.abc import Mapping

from trainables.exporting.runtimes.conversion import Conversion
from trainables.exporting.runtimes.litert import LITERT
from trainables.exporting.runtimes.litert_quantised import LITERT_DYNAMIC_INT8, LITERT_FLOAT16, LITERT_INT8
from trainables.exporting.runtimes.onnx import ONNX
from trainables.exporting.runtimes.onnx_int8 import ONNX_INT8
from trainables.exporting.runtimes.openvino import OPENVINO
from trainables.exporting.runtimes.openvino_int8 import OPENVINO_INT8

CONVERSIONS: Mapping[str, Conversion] = {
    "litert": LITERT,
    "litert_float16": LITERT_FLOAT16,
    "litert_dynamic_int8": LITERT_DYNAMIC_INT8,
    "litert_int8": LITERT_INT8,
    "onnx": ONNX,
    "onnx_int8": ONNX_INT8,
    "openvino": OPENVINO,
    "openvino_int8": OPENVINO_INT8,
}
