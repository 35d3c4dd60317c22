"""The search algorithms by the name that a study file gives them."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from orchestrator.search.grid import Grid
from orchestrator.search.history import History
from orchestrator.search.random_draws import RandomDraws
from orchestrator.search.tpe import Tpe
from orchestrator.study.spec import StudySpec


class Searcher(Protocol):
    """Draws values for a study's trials.

    A draw is a function of the seed and of the history alone, so a resumed study goes on with the same sequence.

    Attributes:
        learns: Whether its draws depend on earlier trials; else the history it is given is empty.
    """

    learns: ClassVar[bool]

    def ask(self, history: History, *, seed: int) -> dict[str, Any] | None:
        """Returns values for one trial; None where the algorithm has none left.

        Args:
            history: What is known of earlier trials.
            seed: Of this one draw.
        """


SEARCHERS: dict[str, Callable[[StudySpec], Searcher]] = {"random": RandomDraws, "tpe": Tpe, "grid": Grid}


def draw_seed(study_seed: int, *, number: int, attempt: int) -> int:
    """Returns the seed of one draw: of the study's trial `number`, drawn again for the `attempt`-th time."""
    return int(np.random.SeedSequence([study_seed, number, attempt]).generate_state(1)[0])
