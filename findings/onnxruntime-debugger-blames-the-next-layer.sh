#!/usr/bin/env bash
# ONNX Runtime's debugger of quantisation tells a layer that loses all as a good one, and the layer behind it as the bad one.
#
# One would guess: `qdq_loss_debug.compute_activation_error` tells, by the ratio of each tensor of the float model to its
# error in the int8 model, at which layer the accuracy goes; the first low one is the culprit.
# What happens: where one channel of a layer's output is large and constant, such as a bias of 1000 where the others vary by 0.3, its
# square is the signal. The scale of int8 is made for it, so all that varies in the other channels is rounded away, and the ratio is
# 59 dB. The next layer takes no part of the constant channel, and has 0 dB, although it computes what it is given.
# Who is hurt: whoever goes by the table keeps the wrong layer in float32, and finds that nothing is better.
# Ours: trainables/exporting/layer_losses.py takes the variation between images for the signal, and of a layer's loss only what its
# inputs had not lost.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'onnxruntime==1.32.0' 'onnx==1.23.2' 'numpy==2.4.6'
cat > "$work/finding.py" <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, qdq_loss_debug, quantize_static

logging.disable(logging.WARNING)
work, size = sys.argv[1], 8
rng = np.random.default_rng(0)
bias = np.zeros(size, np.float32)
bias[0] = 1000.0
first = rng.normal(scale=0.1, size=(size, size)).astype(np.float32)
first[:, 0] = 0.0
second = rng.normal(size=(size, size)).astype(np.float32)
second[0] = 0.0
nodes = [
    helper.make_node("MatMul", ["x", "first"], ["product"]),
    helper.make_node("Add", ["product", "bias"], ["loses"]),
    helper.make_node("MatMul", ["loses", "second"], ["blamed"]),
]
graph = helper.make_graph(
    nodes,
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])],
    [helper.make_tensor_value_info("blamed", TensorProto.FLOAT, [1, size])],
    [numpy_helper.from_array(value, name) for name, value in (("first", first), ("bias", bias), ("second", second))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model)
whole, quantised = f"{work}/whole.onnx", f"{work}/int8.onnx"
onnx.save(model, whole)
inputs = [{"x": rng.normal(size=(1, size)).astype(np.float32)} for _ in range(64)]


class Reader(CalibrationDataReader):
    def __init__(self):
        self.left = iter(inputs)

    def get_next(self):
        return next(self.left, None)


quantize_static(whole, quantised, Reader(), quant_format=QuantFormat.QDQ)


def values_of(path):
    opened = path.replace(".onnx", "_opened.onnx")
    qdq_loss_debug.modify_model_output_intermediate_tensors(path, opened)
    return qdq_loss_debug.collect_activations(opened, Reader())


pairs = qdq_loss_debug.create_activation_matching(values_of(quantised), values_of(whole))
ratios = qdq_loss_debug.compute_activation_error(pairs)
told = {name: ratios[name]["xmodel_err"] for name in ("loses", "blamed")}
exact = np.reshape(pairs["loses"]["float"], (-1, size))[:, 1:]
kept = np.reshape(pairs["loses"]["post_qdq"], (-1, size))[:, 1:]
lost = float(((exact - kept) ** 2).sum() / (exact**2).sum())
print(*(round(float(value), 1) for value in (told["loses"], told["blamed"])), round(lost, 2))
PYTHON
read -r loses blamed lost < <(python -W ignore "$work/finding.py" "$work" 2>/dev/null | tail -1)
echo "onnxruntime 1.32.0: the layer that keeps none of what varies (error $lost of it): $loses dB; the layer behind it: $blamed dB"
python - "$loses" "$blamed" "$lost" <<'PYTHON'
import sys

loses, blamed, lost = map(float, sys.argv[1:])
if not (loses > 40 and blamed < 10 and lost > 0.5):
    raise SystemExit("changed: the layer that loses is told as one that does")
PYTHON
