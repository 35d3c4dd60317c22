"""The optimizers' kernels against Keras's own steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainables.steps.fused_optimizers import fuse_steps

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adam with other numbers": lambda: keras.optimizers.Adam(0.3, beta_1=0.5, beta_2=0.7, epsilon=1e-3),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "sgd with momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.8),
    "sgd with nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "clipped and averaged": lambda: keras.optimizers.Adam(0.01, global_clipnorm=1.0, use_ema=True, ema_momentum=0.9),
    "clipped number by number": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipvalue=0.5),
    "gathered": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


def trained(optimizer, *, steps=7):
    """Returns all variables after some steps on made-up gradients."""
    generator = np.random.default_rng(5)
    weights = [
        keras.Variable(generator.normal(size=shape).astype(np.float32)) for shape in ((3, 3, 2, 4), (4,), (), (50, 7))
    ]
    optimizer.build(weights)
    for _ in range(steps):
        optimizer.apply([tf.constant(generator.normal(size=weight.shape), tf.float32) for weight in weights], weights)
    return [*weights, *optimizer.variables]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_keras(name):
    fused = OPTIMIZERS[name]()
    fuse_steps(fused)
    assert "_backend_update_step" in fused.__dict__
    for own, kerass in zip(trained(fused), trained(OPTIMIZERS[name]()), strict=True):
        np.testing.assert_allclose(own, kerass, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("adamw", "ResourceApplyAdam"),
        ("sgd", "ResourceApplyGradientDescent"),
        ("sgd with momentum", "ResourceApplyKerasMomentum"),
        ("gathered", "ResourceApplyAdam"),
    ],
)
def test_keras_takes_its_steps_by_the_kernels(name, kernel):
    optimizer = OPTIMIZERS[name]()
    weights = [keras.Variable(np.ones((3, 2), np.float32)), keras.Variable(np.ones(4, np.float32))]
    optimizer.build(weights)
    fuse_steps(optimizer)
    traced = tf.function(lambda: optimizer.apply([tf.ones(weight.shape) for weight in weights], weights))
    graph = traced.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert sum(node.op == kernel for node in nodes) == len(weights)


def test_others_keep_their_own_steps():
    for optimizer in (keras.optimizers.Lamb(), keras.optimizers.Adam(amsgrad=True), keras.optimizers.Nadam()):
        fuse_steps(optimizer)
        assert "_backend_update_step" not in optimizer.__dict__


def test_a_step_never_changes_memory_that_somebody_still_holds():
    weight = keras.Variable(np.ones((64, 64), np.float32))
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([weight])
    fuse_steps(optimizer)
    held = [np.asarray(variable.value) for variable in (weight, *optimizer.variables) if len(variable.shape) > 1]
    copies = [array.copy() for array in held]
    optimizer.apply([tf.ones((64, 64))], [weight])
    assert not np.array_equal(weight, copies[0])
    for array, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_gradients_of_a_few_rows_are_left_to_keras():
    tables = []
    for is_fused in (True, False):
        table = keras.Variable(np.ones((5, 3), np.float32))
        optimizer = keras.optimizers.SGD(0.5)
        optimizer.build([table])
        if is_fused:
            fuse_steps(optimizer)
        optimizer.apply([tf.IndexedSlices(tf.ones((2, 3)), tf.constant([1, 3]), tf.constant([5, 3]))], [table])
        tables.append(table.numpy())
    np.testing.assert_array_equal(*tables)
