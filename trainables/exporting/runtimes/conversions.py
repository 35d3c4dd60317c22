"""The formats of runtimes other than TensorFlow, by name; no TensorFlow."""

from collections.abc import Mapping

from trainables.exporting.runtimes.conversion import Conversion
from trainables.exporting.runtimes.litert import LITERT
from trainables.exporting.runtimes.onnx import ONNX
from trainables.exporting.runtimes.openvino import OPENVINO

CONVERSIONS: Mapping[str, Conversion] = {"litert": LITERT, "onnx": ONNX, "openvino": OPENVINO}
