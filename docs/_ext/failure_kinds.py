"""The kinds of failure that a trial may end with, from their enumeration."""

from docstrings import code, table

from trainables.reports import FailureKind

#: (what it means, what is done) by kind; a kind without an entry fails the build.
_MEANINGS = {
    "infeasible": (
        "The variant cannot be built for these images, or costs more than `space.limits`.",
        "The trial ends before a step is spent.",
    ),
    "diverged": ("A loss or metric is NaN or infinite after an epoch.", "The trial ends."),
    "code_error": (
        "An error in a model or in this package.",
        "The trial ends and is never tried again; the traceback is in `failures/`.",
    ),
    "data_error": ("Images cannot be read.", "The study pauses, and the trial stays unfinished."),
    "storage_error": ("Checkpoints cannot be written.", "The study pauses, and the trial stays unfinished."),
    "out_of_memory": (
        "TensorFlow, CUDA or Python had no memory for it.",
        "The worker tries once more with every batch in four micro-batches, and notes it; then the trial ends. If the "
        "worker had kept graphs of earlier trials, these go first, and whole batches get another try.",
    ),
    "worker_lost": (
        "Its process or node died, or Ray ended it for want of memory.",
        "The trial goes on from its checkpoint in another worker, `resources.retries` times a session; then it ends.",
    ),
    "timed_out": (
        "No report came within `resources.report_timeout_seconds`.",
        "The driver kills the worker, and the trial goes on from its checkpoint once a session; then it ends.",
    ),
    "moved": (
        "Its node was about to leave the cluster.",
        "The trial goes on from its checkpoint on another node, as often as it takes; it never ends with this.",
    ),
}


def markdown(argument: str) -> str:
    """Returns one row a kind."""
    rows = ([code(kind.value), *_MEANINGS[kind.value]] for kind in FailureKind)
    return table(["`failure_kind`", "what it means", "what is done"], rows)
