"""A recorded computation is differentiated by its own function, through what is before and behind it."""

import numpy as np
import tensorflow as tf

from trainables.graphs.recording import recorded


def tripled(number):
    """Returns three times a number, and says that its gradient is 5."""
    return recorded(lambda: number * 3.0, [number], lambda gradient: [gradient * 5.0])


def test_the_gradient_is_that_of_the_function_and_not_of_the_operations():
    variable = tf.Variable(2.0)

    def result_and_gradient():
        with tf.GradientTape() as tape:
            result = tripled(variable * 7.0) * 11.0
        return result, tape.gradient(result, variable)

    for function in (result_and_gradient, tf.function(result_and_gradient)):
        result, gradient = function()
        assert float(result) == 2.0 * 7.0 * 3.0 * 11.0
        assert float(gradient) == 7.0 * 5.0 * 11.0


def test_what_is_not_reached_gets_none_and_no_tape_is_no_problem():
    assert float(tripled(tf.constant(2.0))) == 6.0
    other = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        result = tripled(tf.constant(2.0))
    assert tape.gradient(result, other) is None


def test_several_inputs_have_a_gradient_each_and_the_graph_no_operation_beside():
    def product(one, other):
        return recorded(lambda: one * other, [one, other], lambda gradient: [gradient * other, gradient * one])

    @tf.function
    def gradients(one, other):
        with tf.GradientTape() as tape:
            tape.watch([one, other])
            result = product(one, other)
        return tape.gradient(result, [one, other])

    spec = tf.TensorSpec([], tf.float32)
    graph = gradients.get_concrete_function(spec, spec).graph
    kinds = [operation.type for operation in graph.get_operations() if operation.type not in ("Placeholder", "Const")]
    assert sorted(kinds) == ["Identity", "Identity", "Mul", "Mul", "Mul"]
    np.testing.assert_array_equal(gradients(tf.constant(2.0), tf.constant(3.0)), [3.0, 2.0])
