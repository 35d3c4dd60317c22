"""Steps of Keras's most common optimizers as one kernel a weight, where Keras composes them of a dozen operations.

The kernels compute the same formulas in the same order; with small networks, tracing and running the dozen takes
longer than the arithmetic.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def fuse_steps(optimizer: Any) -> None:
    """Lets an optimizer of a kind that TensorFlow has a kernel for use it; others stay as they are."""
    step = next((step for kind, step in _STEPS if type(optimizer) is kind), None)
    if step is None or getattr(optimizer, "amsgrad", False):
        return
    own = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        plain = variable.value if isinstance(variable, keras.Variable) else variable
        if isinstance(gradient, tf.IndexedSlices) or not hasattr(plain, "handle"):
            own(gradient, variable, learning_rate)
            return
        number = optimizer._get_variable_index(variable)
        step(optimizer, number, plain, tf.cast(gradient, plain.dtype), tf.cast(learning_rate, plain.dtype))

    # Past Keras's own __setattr__, which would track the function as state of the optimizer.
    object.__setattr__(optimizer, "update_step", update_step)


def _adam(optimizer: Any, number: int, variable: Any, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
    """Does a step of Kingma and Ba 2014, arXiv:1412.6980, in the form at the end of its section 2."""
    dtype = variable.dtype
    steps = tf.cast(optimizer.iterations + 1, dtype)
    beta_1, beta_2 = (tf.constant(beta, dtype) for beta in (optimizer.beta_1, optimizer.beta_2))
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[number].value.handle,
        v=optimizer._velocities[number].value.handle,
        beta1_power=tf.raw_ops.Pow(x=beta_1, y=steps),
        beta2_power=tf.raw_ops.Pow(x=beta_2, y=steps),
        lr=learning_rate,
        beta1=beta_1,
        beta2=beta_2,
        epsilon=tf.constant(optimizer.epsilon, dtype),
        grad=gradient,
    )


def _sgd(optimizer: Any, number: int, variable: Any, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
    """Does a step of plain descent, or with Nesterov's or plain momentum as Keras has it."""
    if not optimizer.momentums:
        tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=learning_rate, delta=gradient)
        return
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=optimizer.momentums[number].value.handle,
        lr=learning_rate,
        grad=gradient,
        momentum=tf.cast(tf.convert_to_tensor(optimizer.momentum), variable.dtype),
        use_nesterov=optimizer.nesterov,
    )


#: A step of an optimizer: the number of the weight among its own, the weight, its gradient, the learning rate.
_Step = Callable[[Any, int, Any, tf.Tensor, tf.Tensor], None]

_STEPS: tuple[tuple[type[keras.optimizers.Optimizer], _Step], ...] = (
    (keras.optimizers.Adam, _adam),
    (keras.optimizers.AdamW, _adam),
    (keras.optimizers.SGD, _sgd),
)
