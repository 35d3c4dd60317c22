"""How long work tells whoever waits for it how far it is."""

from collections.abc import Callable

#: Told a stage in words, the items done and the items in all.
OnProgress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignores the news."""
