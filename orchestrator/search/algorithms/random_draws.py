"""Random search: each parameter is drawn from its domain alone.

Source: Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13.
"""

from typing import Any, ClassVar

from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec


class RandomDraws:
    """Draws values at random.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        self._space = EncodedSpace(spec.space)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns random values."""
        return self._space.random(seed=draw.seed)
