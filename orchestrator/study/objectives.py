"""The objectives and constraints of a study file: their sections, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from orchestrator.pareto.choice import Condition, RuleError
from orchestrator.pareto.constraints import EXAMPLE as CONSTRAINT
from orchestrator.pareto.constraints import contradiction, in_words, is_upper, parse_constraint
from orchestrator.pareto.goals import Goal
from orchestrator.study.messages import problems_of
from orchestrator.study.sections import Section
from orchestrator.text import shown
from search_spaces import Problem, SearchSpace, nearest
from trainables.catalog.families import FAMILIES
from trainables.reports import COSTS
from trainables.specs.data import DataSpec
from trainables.specs.numbers import Number
from trainables.specs.targets import is_own, metric_modes, usual_mode

#: Objectives of a study at most: of more, nearly every trial is on the front.
MOST_OBJECTIVES = 3
#: Ends of the names of metrics that lie between 0 and 1.
_SHARES = ("accuracy", "auc", "precision", "recall", "iou", "f1")


def _not_test(value: object) -> object:
    if isinstance(value, str) and value.startswith("test_"):
        raise ValueError("must not be a test metric: the test split is read at export only and never steers a study")
    return value


def _better(metric: str) -> Literal["max", "min"]:
    return "min" if metric in COSTS else usual_mode(metric)


class OtherObjective(Section):
    """An objective after the first one of a list.

    Attributes:
        metric: A metric of the reports, or a cost of the variant: parameters, multiply_adds, memory_mb, latency_ms.
        mode: max or min. Default: whichever fits the metric; min for a cost.
        reference: The value from which the hypervolume is measured; None: the worst of all trials.
    """

    metric: Annotated[str, BeforeValidator(_not_test)] = Field(examples=["latency_ms"])
    mode: Literal["max", "min"] = Field(default_factory=lambda data: _better(data.get("metric", "")))
    reference: Number | None = Field(default=None, allow_inf_nan=False, examples=[0.1])

    @property
    def goal(self) -> Goal:
        """What fronts are computed by."""
        return Goal(metric=self.metric, mode=self.mode, reference=self.reference)


class Objective(Section):
    """The metric that the study makes as large or as small as possible; a list of up to three has the main one first.

    Attributes:
        metric: A metric of the reports; `val_*` come from the validation split. Default: the first metric of the first
            target.
        mode: max or min. Default: whichever fits the metric.
        ties: Which of equal values is better: loss (the lower val_loss, which counts no label smoothing), or earliest
            (of a trial the earlier epoch, of trials that with fewer epochs). auto: loss where the schedule has an auto
            as well, else earliest.
        reference: In a list: the value from which the hypervolume is measured; None: the worst of all trials.
    """

    metric: Annotated[str, BeforeValidator(_not_test)] = Field(default="val_accuracy", examples=["val_accuracy"])
    mode: Literal["max", "min"] = Field(default_factory=lambda data: usual_mode(data.get("metric", "")))
    ties: Literal["auto", "loss", "earliest"] = "auto"
    reference: Number | None = Field(default=None, allow_inf_nan=False, examples=[0.1])
    _others: tuple[OtherObjective, ...] = PrivateAttr(default=())

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All objectives, the main one first."""
        main = Goal(metric=self.metric, mode=self.mode, reference=self.reference)
        return (main, *(other.goal for other in self._others))

    @model_validator(mode="wrap")
    @classmethod
    def _one_or_several(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, list | tuple) or not value:
            return handler(value)
        main = handler(value[0])
        main._others = tuple(OtherObjective.model_validate(other) for other in value[1:])
        return main

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> Any:
        """Returns one objective as the mapping that it always was, several as a list."""
        own = {name: value for name, value in dump(self).items() if name != "reference" or value is not None}
        return [own, *(other.model_dump(exclude_none=True) for other in self._others)] if self._others else own

    @property
    def tie_metric(self) -> str:
        """The metric whose lower value decides between equal ones; empty where the earlier epoch does."""
        return "val_loss" if self.ties == "loss" else ""


def with_usual_metric(objective: object, data: DataSpec) -> object:
    """Returns the section with the usual metric of the targets, if its own mapping, or its list's first, names none."""
    usual = next(iter(metric_modes(data.target_specs)))
    if isinstance(objective, list | tuple) and objective and isinstance(objective[0], Mapping):
        return [{"metric": usual, **objective[0]}, *objective[1:]]
    return {"metric": usual, **objective} if isinstance(objective, Mapping) else objective


def list_problems(objective: object) -> list[Problem]:
    """Returns what is wrong with a list of objectives, whatever the data are; nothing for a mapping."""
    alone = objective[0] if isinstance(objective, list | tuple) and len(objective) == 1 else objective
    if isinstance(alone, Mapping) and (given := alone.get("reference")) is not None:
        text = f"is for several objectives, got {shown(given)}; remove it, or write a list of objectives"
        return [Problem(path="objective.reference", message=text)]
    if not isinstance(objective, list | tuple):
        return []
    if not 1 <= len(objective) <= MOST_OBJECTIVES:
        text = f"must be a list of 1 to {MOST_OBJECTIVES} objectives, got {len(objective)} in {shown(objective)}; "
        text += "name the metric alone" if not objective else "keep those that decide, space.limits bounds costs"
        return [Problem(path="objective", message=text)]
    models: list[type[BaseModel]] = [Objective, *[OtherObjective] * (len(objective) - 1)]
    return [
        *(problem for at, model in enumerate(models) for problem in _entry_problems(objective[at], at=at, model=model)),
        *_twice(objective),
    ]


def metric_problems(objective: object, data: DataSpec, *, space: SearchSpace | None) -> list[Problem]:
    """Returns the problems of the metrics beside the data; `messages` has those of a metric that is no text."""
    if not isinstance(objective, list | tuple):
        return _metric_problems(objective, data, space=space, path="objective", is_main=True)
    return [
        problem
        for at, entry in enumerate(objective)
        for problem in _metric_problems(entry, data, space=space, path=f"objective[{at}]", is_main=at == 0)
    ]


def _entry_problems(entry: object, *, at: int, model: type[BaseModel]) -> Iterable[Problem]:
    place = f"objective[{at}]"
    if not isinstance(entry, Mapping):
        text = f"must be a mapping with a metric, got {shown(entry)}; for example {{metric: latency_ms}}"
        return [Problem(path=place, message=text)]
    if at and "ties" in entry:
        text = f"decides by the first objective, got {shown(entry['ties'])}; write it there"
        return [Problem(path=f"{place}.ties", message=text)]
    try:
        model.model_validate(entry)
    except ValidationError as exc:
        return [
            Problem(path=place if item.path == "study" else f"{place}.{item.path}", message=item.message)
            for item in problems_of(exc, model)
        ]
    return []


def _twice(objective: Sequence[object]) -> list[Problem]:
    names = [entry.get("metric") if isinstance(entry, Mapping) else None for entry in objective]
    return [
        Problem(
            path=f"objective[{at}].metric",
            message=f"is the metric of objective[{names.index(name)}], too, got {shown(name)}; name each once",
        )
        for at, name in enumerate(names)
        if isinstance(name, str) and name in names[:at]
    ]


def _metric_problems(
    objective: object, data: DataSpec, *, space: SearchSpace | None, path: str, is_main: bool
) -> list[Problem]:
    metric = objective.get("metric") if isinstance(objective, Mapping) else None
    mode = objective.get("mode") if isinstance(objective, Mapping) else None
    known = metric_modes(data.target_specs)
    if not isinstance(metric, str) or metric.startswith("test_"):
        return []
    if metric in COSTS:
        return _cost_problems(metric, mode, path=path, is_main=is_main)
    hint = nearest(metric, [*known, *(() if is_main else COSTS)])
    if metric in known:
        return _mode_problems(metric, mode, better=known[metric], path=path)
    if not may_measure_more(data, space):
        names = ", ".join([*known, *(() if is_main else COSTS)])
        text = f"must be one of {names}, got {metric!r}{hint or '; name others in data.targets'}"
        return [Problem(path=f"{path}.metric", message=text)]
    # A model or a metric of the user's may measure it: the worker that builds the first one knows.
    is_clear = mode in ("max", "min") or (usual_mode(metric) == "min" and not hint)
    text = f"which is better of {metric}, a number of your own? write mode: max or mode: min{hint}"
    return [] if is_clear else [Problem(path=f"{path}.mode", message=text)]


def _cost_problems(metric: str, mode: object, *, path: str, is_main: bool) -> list[Problem]:
    if is_main:
        text = (
            f"must be a metric that changes from epoch to epoch, got {metric!r}, a cost of the variant; put a metric "
            f"such as val_accuracy first and {{metric: {metric}}} after it, or bound it by space.limits"
        )
        return [Problem(path=f"{path}.metric", message=text)]
    return _mode_problems(metric, mode, better="min", path=path)


def _mode_problems(metric: str, mode: object, *, better: str, path: str) -> list[Problem]:
    if mode != "max" or better == "max":
        return []
    text = f"{metric} is better when it is smaller, got {mode!r}: the study would look for the worst variant; drop it"
    return [Problem(path=f"{path}.mode", message=text)]


def may_measure_more(data: DataSpec, space: SearchSpace | None) -> bool:
    """Returns whether a target has a metric of a user's, or every variant of a space is a user's own model."""
    if any(is_own(name) for target in data.target_specs.values() for name in target.metric_names):
        return True
    families = () if space is None else space.families
    return bool(families) and all(name in FAMILIES and FAMILIES[name].has_own_parameters for name in families)


def target_problems(data: DataSpec, space: SearchSpace) -> list[Problem]:
    """Returns a problem for each family that cannot learn these targets or take these inputs."""
    asked = {
        "predicts one target, but data.targets": tuple(data.target_specs),
        "takes one image, but data.inputs": data.inputs,
    }
    several = [f"{what} has {len(names)}: {', '.join(names)}" for what, names in asked.items() if len(names) > 1]
    able = " or ".join(name for name, family in FAMILIES.items() if family.takes_several)
    return [
        *_kind_problems(data, space),
        *[
            Problem(path="space.family", message=f"{family!r} {what}; use family {able}, or keep one")
            for family in space.families
            if family in FAMILIES and not FAMILIES[family].takes_several
            for what in several
        ],
    ]


def _kind_problems(data: DataSpec, space: SearchSpace) -> list[Problem]:
    """Returns a problem for each family that cannot predict a target's kind."""
    problems = []
    for family in space.families:
        for name, target in data.target_specs.items():
            if family in FAMILIES and target.kind not in FAMILIES[family].kinds:
                able = " or ".join(able for able, other in FAMILIES.items() if target.kind in other.kinds)
                predicts = "masks only" if target.kind != "mask" else "no masks"
                text = (
                    f"{family!r} predicts {predicts}, but target {name!r} is of kind {target.kind}; use family {able}"
                )
                problems.append(Problem(path="space.family", message=text))
    return problems


def constraint_problems(constraints: object, data: DataSpec | None, *, space: SearchSpace | None) -> list[Problem]:
    """Returns what is wrong with the constraints: with each, with two of them, and beside the limits of the space."""
    entries = [constraints] if isinstance(constraints, str) else constraints
    if not isinstance(entries, list | tuple):
        text = f"must be a list of texts such as {CONSTRAINT}, got {shown(constraints)}"
        return [Problem(path="constraints", message=text)]
    found: dict[int, Condition] = {}
    problems: list[Problem] = []
    for at, entry in enumerate(entries):
        try:
            found[at] = _constraint(entry)
        except RuleError as exc:
            problems.append(Problem(path=f"constraints[{at}]", message=f"{exc}, got {shown(entry)}"))
    return [*problems, *_pair_problems(found), *_value_problems(found, data, space=space)]


def _constraint(entry: object) -> Condition:
    if not isinstance(entry, str):
        raise RuleError(f"must be a text such as {CONSTRAINT}")
    return parse_constraint(entry)


def _pair_problems(found: Mapping[int, Condition]) -> Iterator[Problem]:
    """Yields a problem for each constraint that bounds what an earlier one bounds, or leaves it no value."""
    for at, one in found.items():
        for before, other in found.items():
            if before >= at or one.metric != other.metric:
                continue
            words = f"got {in_words(one)!r} beside {in_words(other)!r} of constraints[{before}]"
            if contradiction(one, other):
                yield Problem(path=f"constraints[{at}]", message=f"leaves no {one.metric}, {words}; change one of them")
            elif is_upper(one) == is_upper(other):
                yield Problem(
                    path=f"constraints[{at}]", message=f"bounds {one.metric} again, {words}; keep one of them"
                )


def _value_problems(
    found: Mapping[int, Condition], data: DataSpec | None, *, space: SearchSpace | None
) -> Iterator[Problem]:
    """Yields a problem for each constraint on what no trial has, and for each that none can keep to."""
    for at, one in found.items():
        path, metric = f"constraints[{at}]", one.metric
        if metric.startswith("test_"):
            text = "must not be on a test metric: the test split is read at export only and never steers a study"
            yield Problem(path=path, message=f"{text}, got {metric!r}")
            continue
        known = (*(metric_modes(data.target_specs) if data is not None else ()), *COSTS)
        if data is not None and metric not in known and not may_measure_more(data, space):
            text = f"may be on {', '.join(known)}, got {metric!r}{nearest(metric, known)}"
            yield Problem(path=path, message=text)
        if not is_upper(one) and metric in (limits := {} if space is None else space.limits):
            limit = parse_constraint(f"{metric} <= {limits[metric]}")
            if contradiction(one, limit):
                text = f"leaves no {metric} beside space.limits ({in_words(limit)}), got {in_words(one)!r}; change one"
                yield Problem(path=path, message=text)
        if any(contradiction(one, natural) for natural in _natural(metric)):
            yield Problem(path=path, message=f"can hold for no {metric}, got {in_words(one)!r}; change its number")


def _natural(metric: str) -> Iterator[Condition]:
    """Yields what every value of a metric keeps to: no cost is 0, and no share is more than 1."""
    if metric in COSTS:
        yield Condition(metric=metric, sign=">", limit=0)
    elif metric.rpartition("_")[2] in _SHARES:
        yield Condition(metric=metric, sign=">=", limit=0)
        yield Condition(metric=metric, sign="<=", limit=1)
