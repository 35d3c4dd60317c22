"""The callback by which long work reports its progress."""

from collections.abc import Callable

#: Receives the name of a stage, the number of items done and of all items.
OnProgress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignores the progress."""
