"""Random search under a name of its own: orchestrator/search/algorithms/mine.py."""

from typing import Any, ClassVar

from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec


class Mine:
    """Draws each parameter from its domain alone."""

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        self._space = EncodedSpace(spec.space)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns values for one trial; `draw.seed` is of this one draw."""
        return self._space.random(seed=draw.seed)


SEARCHERS["mine"] = Mine
