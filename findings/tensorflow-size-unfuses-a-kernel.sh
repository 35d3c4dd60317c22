#!/usr/bin/env bash
# Asking for the size of an output keeps TensorFlow from fusing the kernel that it comes from.
#
# One would guess: `Size` of a tensor whose shape is known costs nothing; it becomes a constant before the first run.
# What happens: it becomes a constant that waits for the tensor's kernel, and a kernel that something waits for is not
# fused with what is behind it. Batch normalisation and ReLU, one kernel otherwise, stay two: results of a training
# change in their last bits, and the step is slower. The size of another tensor of the same shape changes nothing.
# Who is hurt: whoever counts by sizes in a graph, to leave numbers of channels out of it: no test of the values finds
# it, only one of the bits or of the kernels.
# Ours: trainables/graphs/fused_batch_norm.py takes the number of channels from a variable.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 numpy==2.4.6
export TF_ENABLE_ONEDNN_OPTS=1
quietly python - <<'PYTHON'
import statistics
import sys
import time

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

generator = np.random.default_rng(0)
images = tf.constant(generator.normal(size=(64, 32, 32, 16)).astype("float32"))
weights = tf.Variable(generator.normal(size=(3, 3, 16, 16)).astype("float32"))
scale, offset, kept = tf.Variable(tf.ones([16])), tf.Variable(tf.zeros([16])), tf.Variable(tf.zeros([16]))


def step_that_counts(by_output):
    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 16], tf.float32)])
    def step(batch):
        features = tf.nn.conv2d(batch, weights, 1, "SAME")
        outputs, _, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=features, scale=scale, offset=offset, mean=np.zeros(0, "float32"), variance=np.zeros(0, "float32")
        )
        channels = tf.raw_ops.Size(input=variance if by_output else kept.read_value())
        count = tf.cast(tf.raw_ops.Size(input=features) // channels, tf.float32)
        kept.assign(variance * ((count - 1.0) / count))
        return tf.nn.relu(outputs)

    return step


kernels, steps = {}, {}
for by_output in (True, False):
    steps[by_output] = step_that_counts(by_output)
    context.enable_run_metadata()
    steps[by_output](images)
    graphs = context.export_run_metadata().function_graphs
    context.disable_run_metadata()
    nodes = [node for graph in graphs for node in graph.post_optimization_graph.node]
    kernels[by_output] = sorted(node.op for node in nodes if "BatchNorm" in node.op or node.op == "Relu")
    print("size of the kernel's output:" if by_output else "size of a variable:", *kernels[by_output])
seconds = {by_output: [] for by_output in steps}
for _ in range(40):
    for by_output, step in steps.items():
        started = time.process_time()
        step(images)
        seconds[by_output].append(time.process_time() - started)
ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
print(f"CPU time of a step with the one, over that with the other: {ratio:.2f}")
if kernels[True] != ["FusedBatchNormV3", "Relu"] or kernels[False] != ["_FusedBatchNormEx"]:
    sys.exit("changed: the size of an output does not keep a kernel from being fused any more")
PYTHON
