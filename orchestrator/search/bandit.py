"""Population based bandits: values for a trial that goes on from another, by what values have brought so far.

Source: Parker-Holder et al. 2020, "Provably Efficient Online Hyperparameter Optimization with Population-Based
Bandits", arXiv:2002.02518. As there, a Gaussian process sees the gain of each stretch of training, with a kernel that
forgets old stretches, and the values of the highest upper bound are chosen; those of trials that train are taken for
seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.journal.study_state import StudyState, inherited_reports
from orchestrator.journal.trial import Trial
from orchestrator.search.perturbation import Perturbed, perturbed
from orchestrator.search.surrogate import ForgettingSurrogate, scores_of
from orchestrator.search.unit_cube import place_of, value_at
from orchestrator.study.checks import changeable_parameters
from orchestrator.study.spec import StudySpec
from search_spaces import Value, Variant, make_variant

Array = np.ndarray

#: Stretches that the process sees at least; before, values change as under `pbt`.
MIN_STRETCHES = 4
#: So many of the newest stretches are seen: a fit takes the third power of them.
MAX_STRETCHES = 500
#: So many sets of values are compared.
_NUM_DRAWN = 500
#: The weight of doubt, as in the experiments of the paper.
_DOUBT, _DOUBT_PER_STRETCH = 0.2, 0.4


@dataclass(frozen=True, slots=True)
class Stretch:
    """One trial's training between two epochs at which the population is compared.

    Attributes:
        features: When it ends, in intervals; the value with which it begins, the larger the better; the places of what
            may change on the axes of the space.
        gain: How much better the value at its end is; None while it trains.
    """

    features: tuple[float, ...]
    gain: float | None


def informed(parent: Trial, *, epoch: int, state: StudyState, spec: StudySpec, seed: int) -> Perturbed | None:
    """Returns a variant that goes on from a trial's weights; None if no value of it can change.

    Args:
        parent: The trial to go on from.
        epoch: After which the new trial begins.
        state: What the journal says.
        spec: The study.
        seed: Equal seeds and states, equal variants.
    """
    random = np.random.default_rng([spec.seed, seed])
    variant, names = parent.variant, changing(parent.variant, spec=spec)
    seen = list(stretches(state, spec=spec, family=variant.family, names=names))
    known = [each for each in seen if each.gain is not None][-MAX_STRETCHES:]
    value = values_by_epoch(state, parent, spec=spec).get(epoch)
    if len(known) < MIN_STRETCHES or value is None:
        return perturbed(variant, space=spec.space, random=random)
    process = ForgettingSurrogate(np.array([each.features for each in known]), scores_of([each.gain for each in known]))
    if pending := [each.features for each in seen if each.gain is None]:
        process.believe(np.array(pending))
    drawn = [values for _ in range(_NUM_DRAWN) if (values := _drawn(variant, names, spec=spec, random=random))]
    if not drawn:
        return perturbed(variant, space=spec.space, random=random)
    when = epoch / spec.schedule.interval_epochs + 1
    features = [(when, value, *places(values, names, spec=spec)) for values in drawn]
    means, deviations = process.expect(np.array(features))
    doubt = _DOUBT + max(0.0, np.log(_DOUBT_PER_STRETCH * len(known)))
    best = drawn[int(np.argmax(means + np.sqrt(doubt) * deviations))]
    found = make_variant(spec.space, {"family": variant.family, **variant.params, **best}, seed=variant.seed)
    before = {name: variant.params[name] for name in names if found.params[name] != variant.params[name]}
    return Perturbed(variant=found, before=before)


def changing(variant: Variant, *, spec: StudySpec) -> list[str]:
    """Returns the parameters of a variant that may change while its weights stay."""
    return [name for name in changeable_parameters(spec.space, family=variant.family) if name in variant.params]


def places(values: dict[str, Value], names: Sequence[str], *, spec: StudySpec) -> tuple[float, ...]:
    """Returns the places of values on the axes of their parameters; the middle for one that is not active."""
    return tuple(place_of(spec.space.parameter(name).domain, values[name]) if name in values else 0.5 for name in names)


def values_by_epoch(state: StudyState, trial: Trial, *, spec: StudySpec) -> dict[int, float]:
    """Returns a trial's objective by epoch, the larger the better, with those of the trials that it goes on from."""
    goal = spec.objective.goals[0]
    sign = 1.0 if goal.mode == "max" else -1.0
    reports = [*inherited_reports(state, trial), *trial.reports]
    return {report.epoch: sign * float(report.metrics[goal.metric]) for report in reports}


def stretches(state: StudyState, *, spec: StudySpec, family: str, names: Sequence[str]) -> Iterator[Stretch]:
    """Yields the stretches of all trials of a family, in the order of the trials' numbers.

    Args:
        state: What the journal says.
        spec: The study.
        family: Of the variants.
        names: The parameters that are coordinates.
    """
    interval = spec.schedule.interval_epochs
    for trial in state.trials.values():
        if trial.variant.family != family:
            continue
        values = values_by_epoch(state, trial, spec=spec)
        place = places(dict(trial.variant.params), names, spec=spec)
        first = trial.from_epoch if trial.parent else interval
        for begin in range(first, spec.schedule.epochs, interval):
            if begin not in values:
                break
            end = begin + interval
            features = ((begin + interval) / interval, values[begin], *place)
            if end in values:
                yield Stretch(features, values[end] - values[begin])
            elif not trial.has_ended:
                yield Stretch(features, None)


def _drawn(parent: Variant, names: Sequence[str], *, spec: StudySpec, random: np.random.Generator) -> dict[str, Value]:
    """Returns values drawn from the space, but for what is 0 or would become 0; none if they are all the parent's."""
    drawn = {name: value_at(spec.space.parameter(name).domain, random.random()) for name in names}
    kept = {name: value for name, value in drawn.items() if (value == 0) == (parent.params[name] == 0)}
    values = {name: kept.get(name, parent.params[name]) for name in names}
    return values if any(values[name] != parent.params[name] for name in names) else {}
