"""What the driver asks of a worker that trains a trial once more, and the worker's answer; no TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces import Variant
from trainables.specs.worker import WorkerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingRequest:
    """A trial whose checkpoint of an epoch is lost.

    Args:
        trial: The trial's name.
        variant: The variant that it trained.
        epoch: The lost checkpoint's.
        metrics: The report of that epoch, which the training must reach bit for bit.
        worker: The study's data, training and checkpoints.
        parent: The trial whose checkpoint it began from; empty: it began with fresh weights.
        parent_variant: The variant of that one; None without one.
        from_epoch: The epoch of that checkpoint; 0 without one.
    """

    trial: str
    variant: Variant
    epoch: int
    metrics: Mapping[str, float]
    worker: WorkerSpec
    parent: str = ""
    parent_variant: Variant | None = None
    from_epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingAnswer:
    """A checkpoint that is in its place again.

    Args:
        trial: The trial's name.
        epoch: The checkpoint's.
        from_epoch: The epoch of the checkpoint that the training went on from; 0: it began with fresh weights.
    """

    trial: str
    epoch: int
    from_epoch: int
