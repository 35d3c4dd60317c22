"""Makes batches in order inside a compiled epoch: gathered from memory, or streamed ahead of the training step.

The same function makes a batch from the same rows in both cases; a streamed batch is only made earlier and in another
thread. Neither threads nor timing therefore change a number.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import tensorflow as tf

from trainables.data.batches.tensors import Batch, SplitTensors

#: Finished batches in the buffer, besides those that threads are making.
BATCHES_AHEAD = 2

#: Makes a batch of the rows with these numbers.
MakeTensor = Callable[[tf.Tensor], Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The part of a batch that some rows are.

    Args:
        share: float32, the piece's share of the batch's rows.
        is_last: bool, whether the batch ends with this piece.
    """

    share: tf.Tensor
    is_last: tf.Tensor


def each_batch(rows: tf.Tensor, *, size: int, make: MakeTensor, is_streamed: bool, do: Callable[[Batch], None]) -> None:
    """Makes batches of `size` rows in order, the last one of the remaining rows, and calls `do` with each.

    Only compiled functions may call this; it becomes a loop in their graph.

    Args:
        rows: int32 (count,).
        size: Rows of a batch.
        make: Makes a batch, possibly while another is used.
        is_streamed: Whether threads make batches ahead.
        do: Uses a batch.
    """

    if is_streamed:
        each_piece(rows, size=size, piece_size=size, make=make, is_streamed=True, do=lambda batch, piece: do(batch))
        return
    num_rows = tf.shape(rows)[0]

    def one(begin: tf.Tensor) -> tuple[tf.Tensor]:
        end = begin + size
        # The last slice ends with the rows.
        do(make(tf.strided_slice(rows, begin, end, [1])))
        return (end,)

    # As `each_piece` with whole batches, in a third of the operations.
    tf.while_loop(lambda begin: tf.squeeze(begin) < num_rows, one, (tf.constant([0]),))


def each_piece(  # noqa: PLR0913 - the arguments of each_batch, and the size of pieces
    rows: tf.Tensor,
    *,
    size: int,
    piece_size: int,
    make: MakeTensor,
    is_streamed: bool,
    do: Callable[[Batch, Piece], None],
) -> None:
    """Does as `each_batch`, with every batch cut into pieces of `piece_size` rows, the last one of the rest."""
    ready = iter(streamed(rows, size=size, piece_size=piece_size, make=make)) if is_streamed else None
    num_pieces = _num_pieces(rows, size=size, piece_size=piece_size)

    def one(step: tf.Tensor) -> tuple[tf.Tensor]:
        begin, end, piece = _piece_at(rows, step, size=size, piece_size=piece_size)
        do(make(rows[begin:end]) if ready is None else Batch(**ready.get_next()), piece)
        return (step + 1,)

    # Written out: AutoGraph turns a `for` into the same graph, but takes half a second longer in a worker's first
    # trial.
    tf.while_loop(lambda step: step < num_pieces, one, (tf.constant(0),))


def streamed(
    rows: tf.Tensor, *, size: int, make: MakeTensor, piece_size: int | None = None, num_threads: int | None = None
) -> tf.data.Dataset:
    """Returns the batches that `make` makes of the rows, in order, each as a dictionary of its tensors.

    The threads of a tf.data data set make them ahead.

    Args:
        piece_size: Rows of the pieces that batches are cut into; None: whole batches.
        num_threads: The threads that make batches; None: as many as the trial has CPUs (see `configure_devices`).
    """
    cut = {"size": size, "piece_size": piece_size or size}
    threads = num_threads or tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count() or 1

    def parts(step: tf.Tensor) -> dict[str, Any]:
        begin, end, _ = _piece_at(rows, step, **cut)
        batch = make(rows[begin:end])
        named = {field.name: getattr(batch, field.name) for field in fields(batch)}
        return {name: part for name, part in named.items() if part is not None}

    steps = tf.data.Dataset.range(tf.cast(_num_pieces(rows, **cut), tf.int64), output_type=tf.int32)
    batches = steps.map(parts, num_parallel_calls=threads, deterministic=True).prefetch(BATCHES_AHEAD)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    # The number of threads is fixed, so tuning is off, and buffers must not grow.
    options.autotune.enabled = False
    return batches.with_options(options)


@contextmanager
def data_errors(*splits: SplitTensors) -> Iterator[None]:
    """Raises DataError with the image's place, where TensorFlow reports only that a step failed.

    TensorFlow's other errors pass unchanged.
    """
    images = [split.images for split in splits if split.is_streamed]
    for encoded in images:
        encoded.failure = None
    try:
        yield
    except tf.errors.OpError as exc:
        failure = next((encoded.failure for encoded in images if encoded.failure is not None), None)
        if failure is None:
            raise
        raise failure from exc


def _num_pieces(rows: tf.Tensor, *, size: int, piece_size: int) -> tf.Tensor:
    if piece_size >= size:
        return _ratio(tf.shape(rows)[0], size)
    num_whole, num_left = tf.shape(rows)[0] // size, tf.shape(rows)[0] % size
    return num_whole * _ratio(size, piece_size) + _ratio(num_left, piece_size)


def _piece_at(rows: tf.Tensor, step: tf.Tensor, *, size: int, piece_size: int) -> tuple[tf.Tensor, tf.Tensor, Piece]:
    """Returns begin and end of a piece among the rows, and its part of the batch; the last piece ends with the rows."""
    if piece_size >= size:
        # The same in fewer operations; each operation takes time in the trace and in every step.
        begin = step * size
        return begin, begin + size, Piece(share=tf.constant(1.0), is_last=tf.constant(True))
    by_batch = _ratio(size, piece_size)
    batch_begin = step // by_batch * size
    batch_end = tf.minimum(batch_begin + size, tf.shape(rows)[0])
    begin = batch_begin + step % by_batch * piece_size
    end = tf.minimum(begin + piece_size, batch_end)
    share = tf.cast(end - begin, tf.float32) / tf.cast(batch_end - batch_begin, tf.float32)
    return begin, end, Piece(share=share, is_last=end == batch_end)


def _ratio(count: Any, size: int) -> Any:
    """Returns how many parts of a size hold this many rows."""
    return (count + size - 1) // size
