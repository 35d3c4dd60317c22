"""Random search under a name of its own: orchestrator/search/mine.py."""

from typing import Any, ClassVar

import optuna

from orchestrator.search.history import History
from orchestrator.search.searchers import SEARCHERS
from orchestrator.study.spec import StudySpec


class Mine:
    """Draws each parameter from its domain alone."""

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        del spec  # Every searcher is made of it.

    def ask(self, history: History, *, seed: int) -> dict[str, Any]:
        """Returns values for one trial; the seed is of this one draw."""
        return history.draw(optuna.samplers.RandomSampler(seed=seed))


SEARCHERS["mine"] = Mine
