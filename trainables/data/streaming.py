"""Batches one after the other inside a compiled epoch: gathered from memory, or streamed ahead of the training step.

A streamed batch is made by the very function that makes one in memory, of the same rows: only where and when it is
called differ. So neither threads nor timing reach a number.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import tensorflow as tf

from trainables.data.augment.augmenter import Batch
from trainables.data.pipeline import SplitTensors

#: Batches that lie ready, besides those that threads are making.
BATCHES_AHEAD = 2

#: Makes a batch of the rows with these numbers.
Make = Callable[[tf.Tensor], Batch]


def each_batch(rows: tf.Tensor, *, size: int, make: Make, is_streamed: bool, do: Callable[[Batch], None]) -> None:
    """Makes batches of so many rows, in order, the last one of what is left, and does something with each.

    For compiled functions only, which this becomes a loop of.

    Args:
        rows: int32 (count,).
        size: Rows of a batch.
        make: Makes a batch, before or while others are used.
        is_streamed: Whether batches are made ahead by threads of their own.
        do: Uses a batch.
    """
    ready = iter(streamed(rows, size=size, make=make)) if is_streamed else None
    for step in tf.range(_num_batches(rows, size=size)):
        if ready is None:
            do(make(_rows_of_batch(rows, step, size=size)))
        else:
            do(Batch(**ready.get_next()))


def streamed(rows: tf.Tensor, *, size: int, make: Make, num_threads: int | None = None) -> tf.data.Dataset:
    """Returns the batches that `make` makes of the rows, in order, each as a dictionary of what it has.

    They are made ahead, by threads of the data set's own.

    num_threads: None: as many as the trial has CPUs (see `configure_devices`).
    """
    threads = num_threads or tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count() or 1

    def parts(step: tf.Tensor) -> dict[str, Any]:
        batch = make(_rows_of_batch(rows, step, size=size))
        named = {field.name: getattr(batch, field.name) for field in fields(batch)}
        return {name: part for name, part in named.items() if part is not None}

    steps = tf.data.Dataset.range(tf.cast(_num_batches(rows, size=size), tf.int64), output_type=tf.int32)
    batches = steps.map(parts, num_parallel_calls=threads, deterministic=True).prefetch(BATCHES_AHEAD)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    # What is known beforehand needs no tuning, and buffers must not grow.
    options.autotune.enabled = False
    return batches.with_options(options)


@contextmanager
def data_errors(*splits: SplitTensors) -> Iterator[None]:
    """Raises DataError, with the image's place, where TensorFlow says only that a step failed.

    Nothing else of TensorFlow's errors changes.
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


def _num_batches(rows: tf.Tensor, *, size: int) -> tf.Tensor:
    return (tf.shape(rows)[0] + size - 1) // size


def _rows_of_batch(rows: tf.Tensor, step: tf.Tensor, *, size: int) -> tf.Tensor:
    return rows[step * size : tf.minimum((step + 1) * size, tf.shape(rows)[0])]
