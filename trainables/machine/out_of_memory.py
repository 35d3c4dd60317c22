"""Out of memory: which errors mean it, how batches are then cut, and the messages about it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

#: Pieces that a trial's batches are cut into when they run out of memory: activations are most of what training needs,
#: and there is one more try only.
NUM_MICRO_BATCHES = 4
#: Words of TensorFlow, XLA and CUDA for it in errors of other kinds.
_TEXTS = (
    "out of memory",
    "oom when allocating",
    "out_of_memory",
    "resource_exhausted",
    "resourceexhaustederror",
    # What TensorFlow says where cuBLAS or cuDNN found no memory to start in: a GPU that other processes filled.
    "no blas for stream",
    "no dnn in stream executor",
)
#: Packages whose errors count if they have such words; errors of users' code may have any words.
_BELIEVED = ("tensorflow", "jaxlib", "keras")


def is_out_of_memory(exc: BaseException) -> bool:
    """Returns whether an error, or one of its causes, means that memory ran out.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("out of memory"))
    (True, False)
    """
    return any(_says_so(error) for error in _with_causes(exc))


def num_micro_batches(batch_size: int) -> int:
    """Returns in how many pieces batches are tried again; 1 if they cannot be cut.

    >>> [num_micro_batches(size) for size in (1, 3, 128)]
    [1, 3, 4]
    """
    return min(NUM_MICRO_BATCHES, batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSplit:
    """How batches are cut when they are tried again.

    Args:
        batch_size: Rows of a batch.
        pieces: In how many pieces it is cut; 1: it cannot be cut.
    """

    batch_size: int
    pieces: int

    @property
    def in_words(self) -> str:
        """The pieces in words.

        >>> BatchSplit(batch_size=128, pieces=4).in_words
        '4 micro-batches of 32'
        """
        return f"{self.pieces} micro-batches of {math.ceil(self.batch_size / self.pieces)}"


def micro_batches_note(cut: BatchSplit, *, epoch: int) -> str:
    """Returns the note of a trial that goes on in micro-batches with an epoch.

    >>> micro_batches_note(BatchSplit(batch_size=128, pieces=4), epoch=3).partition(", the")[0]
    'batches of 128 ran out of memory; trained in 4 micro-batches of 32 each from epoch 3 on'
    """
    since = f" from epoch {epoch} on" if epoch > 1 else ""
    return (
        f"batches of {cut.batch_size} ran out of memory; trained in {cut.in_words} each{since}, the gradients added "
        "up; batch statistics are of the smaller batches"
    )


def given_up(cut: BatchSplit, *, memory_mb: float | None, why: str = "") -> str:
    """Returns why a trial that ran out of memory ends, and what to change.

    >>> given_up(BatchSplit(batch_size=128, pieces=4), memory_mb=812.3).partition("; ")[0]
    'ran out of memory in batches of 128 (a step was estimated at 812 MB), and again in 4 micro-batches of 32'

    Args:
        memory_mb: Estimated need of a step of a whole batch; None: not known.
        why: Why the model cannot be trained in pieces; empty if it can.
    """
    needs = "" if memory_mb is None else f" (a step was estimated at {memory_mb:,.0f} MB)"
    tried = f"ran out of memory in batches of {cut.batch_size}{needs}, "
    if cut.pieces == 1:
        tried += "which cannot be cut smaller"
    elif why:
        tried += f"and cannot be trained in smaller ones: {why}"
    else:
        tried += f"and again in {cut.in_words}"
    return (
        f"{tried}; use a smaller batch_size or network, refuse such variants with space.limits.memory_mb, or run fewer "
        "trials at once (resources.max_concurrent)"
    )


def _with_causes(exc: BaseException) -> Iterator[BaseException]:
    error: BaseException | None = exc
    while error is not None:
        yield error
        error = error.__cause__


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    is_believed = type(error).__module__.partition(".")[0] in _BELIEVED
    return is_believed and any(text in str(error).lower() for text in _TEXTS)
