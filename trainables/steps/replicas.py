"""Several devices in one trial: each has a copy of the model and trains on its part of every batch.

The optimizer gets the gradient of the whole batch: the devices' gradients, weighted by their shares of the rows, are
summed before clipping, averaging and applying. A step therefore equals a step of one device with the same batch, except
for layers that depend on the rows of a part: batch normalisation uses the part of its device, as in Keras, and dropout
draws alike for each part.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import Any

import tensorflow as tf

from trainables.data.batches.tensors import Batch
from trainables.errors import InfeasibleError, MicroBatchError
from trainables.families.parts.keras_internals import add_up_no_gradients, plain_optimizer
from trainables.specs.worker import DeviceSpec

ReplicaFunction = Callable[[Batch], None]


class Replicas:
    """The devices that a training's batches are divided among.

    Args:
        devices: TensorFlow's names of the devices; with fewer than two, nothing is divided and the methods have no
            effect.
    """

    def __init__(self, devices: Sequence[str] = ()) -> None:
        #: None where there is one device.
        self._strategy = _strategy(tuple(devices)) if len(devices) > 1 else None
        self.count = max(1, len(devices))

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context in which every new variable gets a copy on each device."""
        return nullcontext() if self._strategy is None else self._strategy.scope()

    def check(self, params: Any, *, num_micro_batches: int = 1) -> None:
        """Raises an error for a training that cannot be divided.

        Raises:
            InfeasibleError: If updates accumulate several batches.
            MicroBatchError: If batches are already cut into pieces.
        """
        if self._strategy is None:
            return
        if params["gradient_accumulation"] > 1:
            raise InfeasibleError(
                f"gradient_accumulation {params['gradient_accumulation']} cannot be had on {self.count} GPUs at once; "
                "use a larger batch_size, or one GPU a trial"
            )
        if num_micro_batches > 1:
            raise MicroBatchError(f"its batches are divided among {self.count} GPUs already")

    def train(self, do: ReplicaFunction, *, optimizer: Any) -> ReplicaFunction:
        """Returns the function that does a training step, with one step of the optimizer, on all devices together.

        Only compiled functions may call the result.
        """
        strategy = self._strategy
        if strategy is None:
            return do
        # `divided` has summed them already.
        add_up_no_gradients(plain_optimizer(optimizer))

        def divided(batch: Batch) -> None:
            take_step = optimizer.apply

            @tf.autograph.experimental.do_not_convert
            def apply(gradients: Iterable[Any], variables: Any = None) -> None:
                share = self._part(_num_rows(batch))[2]
                # Keras divides a loss by the number of devices.
                weighted = [_weighted(gradient, share * self.count) for gradient in gradients]
                take_step(_summed(weighted), variables)

            # Set on the instance alone, and only while a step is traced: Keras has no hook between gradients and their
            # use.
            optimizer.apply = apply
            try:
                self._run(do, batch)
            finally:
                del optimizer.apply

        return divided

    def validate(self, do: ReplicaFunction) -> ReplicaFunction:
        """Returns the function that does a validation step on all devices; only compiled functions may call it."""
        return do if self._strategy is None else lambda batch: self._run(do, batch)

    def validation_size(self, size: int, *, num_images: int) -> int:
        """Returns a batch size, near this one, whose last batch has a row for every device."""
        larger = range(size, 2 * size + self.count)
        return next((found for found in larger if not 0 < num_images % found < self.count), size)

    def merge_replicas(self, model: Any) -> None:
        """Sets the copies of variables that layers learn from a device's rows, such as statistics, to their mean."""
        if self._strategy is None:
            return
        for variable in model.non_trainable_variables:
            if variable.value.dtype.is_floating:
                variable.assign(tf.add_n([tf.identity(copy) for copy in copies(variable)]) / self.count)

    def copies_of(self, model: Any) -> list[Any]:
        """Returns the copies of all variables of a compiled model; none with one device."""
        known = (
            () if self._strategy is None else (*model.variables, *model.optimizer.variables, *model.metrics_variables)
        )
        return [copy for variable in known for copy in copies(variable)]

    def _run(self, do: ReplicaFunction, batch: Batch) -> None:
        strategy: Any = self._strategy

        @tf.autograph.experimental.do_not_convert
        def on_device() -> None:
            begin, end, _ = self._part(_num_rows(batch))
            parts = {field.name: getattr(batch, field.name) for field in fields(batch)}
            do(Batch(**tf.nest.map_structure(lambda rows: None if rows is None else rows[begin:end], parts)))

        strategy.run(on_device)

    def _part(self, num_rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns begin, end and weight of this device's part of a batch.

        With fewer rows than devices, each device takes all rows: the gradient is the same, and no part is empty.
        """
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        size, larger = num_rows // self.count, num_rows % self.count
        is_divided = size > 0
        begin = tf.where(is_divided, number * size + tf.minimum(number, larger), 0)
        end = tf.where(is_divided, begin + size + tf.cast(number < larger, tf.int32), num_rows)
        share = tf.where(is_divided, (end - begin) / num_rows, 1 / self.count)
        return begin, end, tf.cast(share, tf.float32)


@functools.cache
def _strategy(devices: tuple[str, ...]) -> Any:
    # Summed on one device: collective operations of several graphs, or of several steps in one graph, mixed their
    # values.
    return tf.distribute.MirroredStrategy(list(devices), cross_device_ops=tf.distribute.ReductionToOneDevice())


def own_replicas(spec: DeviceSpec) -> Replicas:
    """Returns the replicas on a trial's own GPUs; with fewer than two, they divide nothing."""
    return Replicas([gpu.name for gpu in tf.config.list_logical_devices("GPU")] if spec.gpus > 1 else ())


def copies(variable: Any) -> Sequence[Any]:
    """Returns a Keras variable's TensorFlow variables, one a device."""
    return getattr(variable.value, "values", None) or (variable.value,)


def _num_rows(batch: Batch) -> tf.Tensor:
    return tf.shape(batch.images)[0]


def _weighted(gradient: Any, weight: tf.Tensor) -> Any:
    return None if gradient is None else tf.convert_to_tensor(gradient) * tf.cast(weight, gradient.dtype)


def _summed(gradients: Sequence[Any]) -> list[Any]:
    """Returns the sums over all devices, on each of them."""

    def sum_up(strategy: Any, *values: Any) -> Any:
        return strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.SUM, [(value, value) for value in values])

    # Not `all_reduce`: findings/keras-optimizers-keep-graphs.sh
    found = [gradient for gradient in gradients if gradient is not None]
    sums = iter(tf.distribute.get_replica_context().merge_call(sum_up, args=tuple(found)))
    return [None if gradient is None else next(sums) for gradient in gradients]
