"""The rules of early stopping by the name that a study file gives them."""

from collections.abc import Callable

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.decider import Decider, Rules
from orchestrator.early_stopping.hyperband import Hyperband
from orchestrator.early_stopping.median import Median
from orchestrator.early_stopping.never import Never
from orchestrator.early_stopping.pasha import Pasha
from orchestrator.early_stopping.pbt import Pbt

DECIDERS: dict[str, Callable[[Rules], Decider]] = {
    "none": Never,
    "asha": Asha,
    "median": Median,
    "hyperband": Hyperband,
    "pasha": Pasha,
    "pbt": Pbt,
}


def make_decider(rules: Rules) -> Decider:
    """Returns the decider of a study that has no reports yet."""
    return DECIDERS[rules.schedule.algorithm](rules)
