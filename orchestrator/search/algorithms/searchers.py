"""The search algorithms by the name that a study file gives them."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from orchestrator.search.algorithms.bohb import Bohb
from orchestrator.search.algorithms.cma_es import CmaEs
from orchestrator.search.algorithms.gaussian_process import GaussianProcess
from orchestrator.search.algorithms.grid import Grid
from orchestrator.search.algorithms.nsga2 import Nsga2
from orchestrator.search.algorithms.nsga3 import Nsga3
from orchestrator.search.algorithms.random_draws import RandomDraws
from orchestrator.search.algorithms.sobol import Sobol
from orchestrator.search.algorithms.tpe import Tpe
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.study.spec import StudySpec


class Searcher(Protocol):
    """Draws values for a study's trials.

    A draw is a function of the seed and of the history alone, so a resumed study goes on with the same sequence.

    Attributes:
        learns: Whether its draws depend on earlier trials; else the history it is given is empty.
    """

    learns: ClassVar[bool]

    def ask(self, history: History, draw: Draw) -> dict[str, Any] | None:
        """Returns values for one trial; None where the algorithm has none left.

        Args:
            history: What is known of earlier trials.
            draw: Which draw it is.
        """


SEARCHERS: dict[str, Callable[[StudySpec], Searcher]] = {
    "random": RandomDraws,
    "tpe": Tpe,
    "bohb": Bohb,
    "gp": GaussianProcess,
    "cmaes": CmaEs,
    "nsga2": Nsga2,
    "nsga3": Nsga3,
    "sobol": Sobol,
    "grid": Grid,
}
