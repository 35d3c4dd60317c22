"""The variants that a plan looks at: the study's own first ones, as far as they can be known before it runs."""

from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces import Variant


def sampled(spec: StudySpec, *, count: int) -> list[Variant]:
    """Returns variants as the study's search draws them from no results; fewer where the space has no more.

    The first ones of a grid that has more are all alike, so then they are drawn at random.

    Args:
        spec: The study.
        count: How many.
    """
    if spec.search.algorithm == "grid" and spec.num_proposed > count:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"algorithm": "random"})})
    proposer = Proposer(spec)
    drawn = (proposer.propose(number) for number in range(count))
    return [variant for variant in drawn if variant is not None]


def num_settled(spec: StudySpec, *, num_sampled: int) -> int:
    """Returns how many of the study's first trials have the sampled variants, whatever any of them reaches.

    Args:
        spec: The study.
        num_sampled: How many variants were sampled.
    """
    if spec.search.algorithm == "grid":
        return num_sampled if num_sampled >= spec.num_proposed else 0
    if not SEARCHERS[spec.search.algorithm](spec).learns:
        return min(num_sampled, spec.num_proposed)
    # A search learns from trials that have ended, and those are no more than have begun.
    return min(num_sampled, spec.num_proposed, max(STARTUP_TRIALS, len(spec.search.first_values)))
