"""Advice on a study before it runs: what its space and schedule hold that costs trials and brings nothing."""

import math
from collections.abc import Callable, Iterator

from orchestrator.early_stopping.pasha import FIRST_RUNGS
from orchestrator.early_stopping.rungs import halving_milestones
from orchestrator.study.spec import StudySpec
from orchestrator.text import number
from search_spaces import Domain, Fixed, Float, Int, Parameter
from trainables.catalog.training import TRAINING

#: A range of numbers whose ends differ by more than this factor is looked at on a logarithmic scale.
WIDE = 100
#: A CPU computes so many filters together: 17 take 1.57 times as long as 16, 12 as long as 16 (measured with TensorFlow
#: 2.21 on two cores with AVX-512).
FILTERS_TOGETHER = 16
#: Multiples of this leave at most half of the last filters' time unused.
FILTERS_STEP = 8
#: Parts of the names of metrics that are at most 1.
_SHARES = ("accuracy", "auc", "precision", "recall", "iou", "f1")
#: Values that a sentence lists at most.
MOST_LISTED = 4
#: A range of more values is looked at by its ends.
MOST_VALUES = 4096
#: Parameters of training that act beside some values of another one alone -> that one, and the values.
_ACTS_BESIDE: dict[str, tuple[str, Callable[[object], bool], str]] = {
    "momentum": ("optimizer", lambda value: value == "sgd", "sgd"),
    "nesterov": ("optimizer", lambda value: value == "sgd", "sgd"),
    "learning_rate_drops": ("schedule", lambda value: value == "step", "step"),
    "final_learning_rate_share": ("schedule", lambda value: value != "constant", "cosine"),
    "warmup_epochs": ("schedule", lambda value: value != "one_cycle", "cosine"),
}


def lint(spec: StudySpec) -> list[str]:
    """Returns sentences of advice on a valid study, each with its place; none for a good one."""
    return [sentence for rule in _RULES for sentence in rule(spec)]


def _without_effect(spec: StudySpec) -> Iterator[str]:
    space = spec.space
    for parameter in _searched(spec):
        place = f"space.params.{parameter.name}"
        if parameter.name == "augment_strength" and not spec.data.augment.is_active:
            yield f"{place}: varies the amounts of data.augment, which has none; add some, or drop it"
        if parameter.name not in _ACTS_BESIDE:
            continue
        other, acts, example = _ACTS_BESIDE[parameter.name]
        is_searched = other in space.names
        values = values_of(space.parameter(other).domain) if is_searched else [TRAINING[other].default]
        if not any(map(acts, values)):
            named = " and ".join(map(str, values))
            yield f"{place}: it has no effect with {other} {named}; drop it, or add {example} to {other}"
        elif not all(map(acts, values)) and other not in parameter.when:
            acting = [str(value) for value in values if acts(value)]
            shown = acting[0] if len(acting) == 1 else f"[{', '.join(acting)}]"
            yield (
                f"{place}: it acts with {other} {' and '.join(acting)} alone, and other trials vary it for nothing; "
                f"add when: {{{other}: {shown}}}"
            )


def _wide_ranges(spec: StudySpec) -> Iterator[str]:
    for parameter in _searched(spec):
        match parameter.domain:
            case Float(low=low, high=high, log=False, step=None) if low > 0 and high / low > WIDE:
                yield (
                    f"space.params.{parameter.name}: nine in ten draws from [{number(low)}, {number(high)}] lie above "
                    f"{number(low + 0.1 * (high - low))}; add log: true, so that each power of ten gets as many"
                )


def _filters(spec: StudySpec) -> Iterator[str]:
    if spec.resources.gpus_per_trial != "auto" and spec.resources.gpus_per_trial > 0:
        return
    for parameter in _searched(spec):
        if parameter.name != "filters":
            continue
        values = [value for value in values_of(parameter.domain) if isinstance(value, int)]
        odd = [value for value in values if value > FILTERS_TOGETHER and value % FILTERS_STEP]
        if odd:
            listed = ", ".join(map(str, odd[:MOST_LISTED])) + (" and others" if len(odd) > MOST_LISTED else "")
            yield (
                f"space.params.filters: {listed}: no multiple of {FILTERS_STEP}, and CPUs compute "
                f"{FILTERS_TOGETHER} filters at a time: 17 take half as long again as 16; step by {FILTERS_STEP}"
            )


def _trials(spec: StudySpec) -> Iterator[str]:
    size, trials = spec.space.size, spec.num_trials
    if spec.search.algorithm == "grid" and size is not None and trials < size:
        first = next((item.name for item in spec.space.parameters if len(values_of(item.domain)) > 1), "")
        yield (
            f"search.trials: {trials:,} of the grid's {size:,} variants are its first ones, in which {first} changes "
            "last; algorithm: sobol spreads as many over the whole space"
        )
    if spec.search.algorithm == "grid" and spec.search.prior:
        names = " and ".join(spec.search.prior)
        yield (
            f"search.prior: a grid goes through its variants in their order, whatever is guessed of {names}; drop it, "
            "or search by tpe"
        )
    metric, target = spec.objective.metric, spec.search.target
    if target is not None and target > 1 and any(name in metric for name in _SHARES):
        yield f"search.target: {number(target)} is never reached, as {metric} is at most 1; 95 % is 0.95"


def _ladders(spec: StudySpec) -> Iterator[str]:
    schedule = spec.schedule
    if "auto" in (schedule.max_epochs, schedule.grace_epochs) or schedule.grace >= schedule.epochs:
        return
    first = list(halving_milestones(grace=schedule.grace, max_epochs=schedule.epochs, factor=schedule.reduction_factor))
    num_judging = sum(milestone < schedule.epochs for milestone in first)
    # Hyperband's last bracket may stop nobody: it is there for what learns slowly.
    if schedule.algorithm == "hyperband" and schedule.brackets > num_judging + 1:
        yield (
            f"schedule.brackets: {schedule.brackets - num_judging} of {schedule.brackets} stop no trial, as they would "
            f"begin to judge at epoch {schedule.epochs} or later (schedule.max_epochs); make it {num_judging + 1}"
        )
    if schedule.promotion and schedule.algorithm == "asha" and spec.num_trials < schedule.reduction_factor:
        yield (
            f"schedule.promotion: of {spec.num_trials} trials none is ever among the best "
            f"1/{schedule.reduction_factor:g}, so that all of them end at epoch {schedule.grace}; more trials, or "
            "promotion: false"
        )
    if schedule.algorithm == "pasha" and len({math.ceil(milestone) for milestone in first}) <= FIRST_RUNGS:
        yield (
            f"schedule.algorithm: pasha's ladder begins with {FIRST_RUNGS} rungs, and {schedule.epochs} epochs have no "
            "more of them, so that it does as asha; more max_epochs, fewer grace_epochs or a smaller reduction_factor "
            "give it some to save"
        )


def _population(spec: StudySpec) -> Iterator[str]:
    schedule, slots = spec.schedule, spec.resources.max_concurrent
    if schedule.has_population and slots != "auto" and slots < schedule.population:
        yield (
            f"schedule.population: of {schedule.population} trials {slots} train at the same time "
            "(resources.max_concurrent), so that the first end before the last begin, and are compared with few; "
            "give each a slot where there are cores"
        )


def _early_stopping(spec: StudySpec) -> Iterator[str]:
    schedule = spec.schedule
    if schedule.max_epochs == "auto":
        return
    epochs = schedule.max_epochs
    for name, what in (("warmup_epochs", "the learning rate never reaches its height"), ("patience", "it never acts")):
        highest = max(_numbers(spec, name), default=0)
        if highest >= epochs:
            yield f"space.params.{name}: {number(highest)} of {epochs} epochs (schedule.max_epochs): {what}; lower it"
    if schedule.algorithm == "none" or schedule.grace_epochs == "auto":
        return
    if schedule.grace_epochs >= epochs:
        yield (
            f"schedule.grace_epochs: {schedule.grace_epochs} of {epochs} epochs: {schedule.algorithm} stops no trial; "
            "lower it, or say algorithm: none"
        )
        return
    for name, what in (("frozen_epochs", "its backbone is frozen"), ("warmup_epochs", "its learning rate still rises")):
        highest = max(_numbers(spec, name), default=0)
        if highest >= schedule.grace_epochs and highest < epochs:
            yield (
                f"schedule.grace_epochs: {schedule.algorithm} judges a trial after {schedule.grace_epochs} epochs, "
                f"while {what} (space.params.{name}: up to {number(highest)}); make it {int(highest) + 1}"
            )


_RULES: tuple[Callable[[StudySpec], Iterator[str]], ...] = (
    _without_effect,
    _wide_ranges,
    _filters,
    _trials,
    _early_stopping,
    _ladders,
    _population,
)


def values_of(domain: Domain) -> list[object]:
    """Returns the values of a domain, both ends where they are uncountable."""
    match domain:
        case Float(low=low, high=high) | Int(low=low, high=high) if domain.size is None or domain.size > MOST_VALUES:
            return [low, high]
        case _:
            return list(domain.values())


def _searched(spec: StudySpec) -> Iterator[Parameter]:
    for parameter in spec.space.parameters:
        if not isinstance(parameter.domain, Fixed) and len(values_of(parameter.domain)) > 1:
            yield parameter


def _numbers(spec: StudySpec, name: str) -> list[float]:
    if name not in spec.space.names:
        return []
    values = values_of(spec.space.parameter(name).domain)
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
