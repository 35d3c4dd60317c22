"""Which search algorithm `search.algorithm: auto` becomes: by how many trials there are, and by the space.

Source: the tables of docs/explain/search.md.
"""

from orchestrator.study.sections import BUDGETS, STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces.axes import is_ordered, varies

#: With fewer trials, an algorithm that learns has one of its own at most.
FEWEST_LEARNING = STARTUP_TRIALS + 2
#: The Gaussian process is fitted to no more trials, so with more of them it is not known to find more.
MOST_MODELLED = 120
#: Whole spaces that a grid goes through; a larger one is not known to be wanted whole.
LARGEST_GRID = 1000


def with_algorithm(spec: StudySpec) -> tuple[StudySpec, str]:
    """Returns a study that names its search algorithm, and which one `auto` became and why; no words without an auto.

    Args:
        spec: The study.
    """
    if spec.search.algorithm != "auto":
        return spec, ""
    algorithm, why = _chosen(spec)
    search = spec.search.model_copy(update={"algorithm": algorithm})
    return spec.model_copy(update={"search": search}), f"{algorithm}, as {why}"


def _chosen(spec: StudySpec) -> tuple[str, str]:
    """Returns an algorithm, and why it is the one."""
    size, trials = spec.space.size, spec.num_proposed
    if size is not None and size <= min(trials, LARGEST_GRID) and has_no_order(spec):
        return "grid", f"the {trials:,} trials are all variants that the space has"
    if trials < FEWEST_LEARNING:
        return "sobol", f"{trials:,} trials are too few to learn from, and its points fill the space evenly"
    if len(spec.objective.goals) > 1:
        return "tpe", f"there are {len(spec.objective.goals)} objectives, for which its fronts were the best"
    domains = [item.domain for item in spec.space.parameters if varies(item.domain)]
    num_named = sum(not is_ordered(domain) for domain in domains)
    if 2 * num_named > len(domains):
        return "tpe", f"{num_named} of {len(domains)} parameters choose among named options, where gp finds no more"
    if trials > MOST_MODELLED:
        return "tpe", f"gp learns from {MOST_MODELLED} trials at most, and there may be {trials:,}"
    return "gp", f"it found most within {MOST_MODELLED} trials, and there are {trials:,}"


def has_no_order(spec: StudySpec) -> bool:
    """Returns whether nothing in a study makes it matter which variants go first."""
    ends_sooner = any(getattr(spec.search, key.partition(".")[2]) is not None for key in BUDGETS)
    if spec.schedule.has_population:
        return False
    return not ends_sooner and not spec.search.prior and spec.search.start_with in ("auto", "none")
