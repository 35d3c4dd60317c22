"""Gives a computation a gradient of this package's, of as few operations as it needs.

`tf.custom_gradient` does so as well, with an operation more for each input and output, and an entry in TensorFlow's
registry of gradients that stays for good. The tapes' own `record_operation` and `stop_recording` are private in
TensorFlow and seen in TensorFlow 2.21; tests/trainables/graphs/test_recording.py sees them go.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.eager import record

#: What the tapes call the computation in their errors.
_NAME = "ConvfleetComputation"


def recorded(
    compute: Callable[[], tf.Tensor],
    inputs: Sequence[tf.Tensor],
    gradient: Callable[[tf.Tensor], Sequence[tf.Tensor | None]],
) -> tf.Tensor:
    """Returns what a computation returns; a tape that watches it takes its gradient from a function.

    A tape around a call of a compiled function does not see the computation inside and differentiates its operations:
    the function must return the same numbers as they do.

    Args:
        compute: The computation.
        inputs: The tensors that it is differentiated by.
        gradient: Takes the gradient by the computation's output and returns those by its inputs.
    """
    with record.stop_recording():
        output = compute()
    record.record_operation(_NAME, [output], list(inputs), gradient)
    return output
