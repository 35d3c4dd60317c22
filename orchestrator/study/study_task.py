"""Whether the targets, the objective and the families of a study fit together."""

from collections.abc import Mapping

from search_spaces import Problem, SearchSpace, nearest
from trainables.catalog.families import FAMILIES
from trainables.specs.data import DataSpec
from trainables.specs.targets import metric_modes


def task_problems(data: DataSpec, objective: object, *, space: SearchSpace | None) -> list[Problem]:
    """Returns what is wrong with the objective's metric, and with families that cannot learn these targets.

    objective: The section as it was written; anything but a mapping with a text as its metric is told elsewhere.
    """
    return [*_metric_problems(data, objective), *(_family_problems(data, space) if space is not None else ())]


def _metric_problems(data: DataSpec, objective: object) -> list[Problem]:
    metric = objective.get("metric") if isinstance(objective, Mapping) else None
    known = metric_modes(data.target_specs)
    if not isinstance(metric, str) or metric in known or metric.startswith("test_"):
        return []
    hint = nearest(metric, known)
    text = f"must be one of {', '.join(known)}, got {metric!r}{hint or '; name others in data.targets'}"
    return [Problem(path="objective.metric", message=text)]


def _family_problems(data: DataSpec, space: SearchSpace) -> list[Problem]:
    asked = {
        "predicts one target, but data.targets": tuple(data.target_specs),
        "takes one image, but data.inputs": data.inputs,
    }
    several = [f"{what} has {len(names)}: {', '.join(names)}" for what, names in asked.items() if len(names) > 1]
    able = " or ".join(name for name, family in FAMILIES.items() if family.takes_several)
    return [
        Problem(path="space.family", message=f"{family!r} {what}; use family {able}, or keep one")
        for family in space.families
        if family in FAMILIES and not FAMILIES[family].takes_several
        for what in several
    ]
