"""Grid search: every variant of a countable space, in the space's order."""

from typing import ClassVar

from orchestrator.search.history import Draw, History
from orchestrator.study.spec import StudySpec


class Grid:
    """Goes through a space from its first variant to its last.

    Args:
        spec: The study; its space is countable.
    """

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        self._values = spec.space.grid()

    def ask(self, history: History, *, seed: int) -> Draw | None:
        """Returns the next values of the grid; None after the last."""
        del seed
        values = next(self._values, None)
        return None if values is None else history.take(values)
