"""The rules of early stopping by the name that a study file gives them."""

from collections.abc import Callable

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.constrained import Constrained, ConstrainedPromoting
from orchestrator.early_stopping.decider import Decider, Rules
from orchestrator.early_stopping.hyperband import Hyperband
from orchestrator.early_stopping.median import Median
from orchestrator.early_stopping.never import Never
from orchestrator.early_stopping.pasha import Pasha
from orchestrator.early_stopping.pbt import Pbt
from orchestrator.early_stopping.promotion import PromotingAsha

DECIDERS: dict[str, Callable[[Rules], Decider]] = {
    "none": Never,
    "asha": Asha,
    "median": Median,
    "hyperband": Hyperband,
    "pasha": Pasha,
    "pbt": Pbt,
    # It differs in the values of the trials that go on from others.
    "pb2": Pbt,
}
#: Those under which trials go on from others: no other run says how theirs would have gone.
POPULATIONS = ("pbt", "pb2")


def make_decider(rules: Rules) -> Decider:
    """Returns the decider of a study that has no reports yet."""
    schedule = rules.schedule
    if schedule.promotion:
        return ConstrainedPromoting(PromotingAsha(rules), rules) if rules.is_constrained else PromotingAsha(rules)
    decider = DECIDERS[schedule.algorithm](rules)
    return Constrained(decider, rules) if rules.is_constrained and schedule.algorithm != "none" else decider
