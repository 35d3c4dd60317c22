"""Takes the steps of Keras's most common optimizers by one kernel a weight, not by Keras's dozen operations.

The kernels compute the same formulas in the same order; with small networks, tracing and running a dozen operations
takes longer than the arithmetic.

The steps replace `_backend_update_step` and read `_momentums`, `_velocities` and `_get_variable_index`, private in
Keras and seen in Keras 3.15; tests/trainables/steps/test_fused_optimizers.py compares them with Keras's own steps.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def fuse_steps(optimizer: Any) -> None:
    """Makes an optimizer use TensorFlow's kernel of its kind; optimizers without one stay as they are."""
    step_of = next((step_of for kind, step_of in _STEPS if type(optimizer) is kind), None)
    if step_of is None or getattr(optimizer, "amsgrad", False):
        return

    def update(gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        # Values that all weights share are computed once an update, in the graph of that update.
        step = step_of(optimizer, learning_rate)
        for gradient, variable in zip(gradients, variables, strict=True):
            plain = variable.value if isinstance(variable, keras.Variable) else variable
            if isinstance(gradient, tf.IndexedSlices) or not hasattr(plain, "handle"):
                optimizer.update_step(gradient, plain, learning_rate)
                continue
            step(optimizer._get_variable_index(variable), plain, tf.cast(gradient, plain.dtype))

    # Bypasses Keras's __setattr__, which would track the function as state of the optimizer.
    object.__setattr__(optimizer, "_backend_update_step", update)


def _adam(optimizer: Any, learning_rate: Any) -> "_Step":
    """Returns a step of Kingma and Ba 2014, arXiv:1412.6980, in the form at the end of its section 2."""

    @functools.cache
    def shared(dtype: tf.DType) -> dict[str, tf.Tensor]:
        steps = tf.cast(optimizer.iterations + 1, dtype)
        beta_1, beta_2 = (tf.constant(beta, dtype) for beta in (optimizer.beta_1, optimizer.beta_2))
        return {
            "beta1_power": tf.raw_ops.Pow(x=beta_1, y=steps),
            "beta2_power": tf.raw_ops.Pow(x=beta_2, y=steps),
            "lr": tf.cast(learning_rate, dtype),
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": tf.constant(optimizer.epsilon, dtype),
        }

    def step(number: int, variable: Any, gradient: tf.Tensor) -> None:
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=optimizer._momentums[number].value.handle,
            v=optimizer._velocities[number].value.handle,
            grad=gradient,
            **shared(variable.dtype),
        )

    return step


def _sgd(optimizer: Any, learning_rate: Any) -> "_Step":
    """Returns a step of plain descent, or with Nesterov's or plain momentum as Keras has it."""

    @functools.cache
    def shared(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(learning_rate, dtype), tf.cast(tf.convert_to_tensor(optimizer.momentum), dtype)

    def step(number: int, variable: Any, gradient: tf.Tensor) -> None:
        rate, momentum = shared(variable.dtype)
        if not optimizer.momentums:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=optimizer.momentums[number].value.handle,
            lr=rate,
            grad=gradient,
            momentum=momentum,
            use_nesterov=optimizer.nesterov,
        )

    return step


#: A step of an optimizer for one weight: the weight's index in the optimizer, the weight, its gradient.
_Step = Callable[[int, Any, tf.Tensor], None]

_STEPS: tuple[tuple[type[keras.optimizers.Optimizer], Callable[[Any, Any], _Step]], ...] = (
    (keras.optimizers.Adam, _adam),
    (keras.optimizers.AdamW, _adam),
    (keras.optimizers.SGD, _sgd),
)
