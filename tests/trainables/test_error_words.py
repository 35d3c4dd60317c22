"""What becomes of TensorFlow's own errors in the words of a failure."""

import pytest
import tensorflow as tf

from trainables.user_code import in_words

#: The message of a convolution on a GPU without memory for cuBLAS, its lines of code cut.
TWO_ROOTS = """Graph execution error:

Detected at node while/conv2d_1/convolution defined at (most recent call last):
  File "/site-packages/keras/src/backend/tensorflow/nn.py", line 812, in _conv

2 root error(s) found.
  (0) INTERNAL:  No BLAS for stream.
\t [[{{node while/conv2d_1/convolution}}]]
\t [[while/LoopCond/_127/_14]]
  (1) INTERNAL:  No BLAS for stream.
\t [[{{node while/conv2d_1/convolution}}]]
0 successful operations.
0 derived errors ignored. [Op:__inference_train_2066]"""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (TWO_ROOTS, "InternalError: No BLAS for stream."),
        ("Dst tensor is not initialized.", "InternalError: Dst tensor is not initialized."),
        ("Graph execution error:", "InternalError: Graph execution error:"),
    ],
)
def test_an_error_of_a_graph_is_named_by_what_went_wrong_in_it(message, words):
    assert in_words(tf.errors.InternalError(None, None, message)) == words


def test_the_error_of_an_operation_in_a_compiled_loop_is_found():
    @tf.function(autograph=False)
    def looped(rows):
        def body(i):
            with tf.control_dependencies([tf.debugging.assert_equal(tf.gather(rows, i), 0, message="a row is not 0")]):
                return i + 1

        return tf.while_loop(lambda i: i < 3, body, [0])

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        looped(tf.constant([0, 0, 5]))
    assert str(caught.value).startswith("Graph execution error:")
    assert in_words(caught.value).startswith("InvalidArgumentError: assertion failed: [a row is not 0]")
