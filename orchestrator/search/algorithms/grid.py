"""Grid search: every variant of a countable space, in the space's order."""

from typing import Any, ClassVar

from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec


class Grid:
    """Goes through a space from its first variant to its last.

    Args:
        spec: The study; its space is countable.
    """

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        self._values = spec.space.grid()

    def ask(self, history: History, draw: Draw) -> dict[str, Any] | None:
        """Returns the next values of the grid; None after the last."""
        del history, draw  # The grid's order is all there is.
        return next(self._values, None)
