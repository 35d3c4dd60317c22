"""Other values for a trial that goes on from another's checkpoint: of parameters that its weights do not depend on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.search.unit_cube import place_of, value_at
from orchestrator.study.checks import changeable_parameters
from search_spaces import Domain, Float, Int, SearchSpace, Value, Variant, make_variant

#: Values are multiplied by one of these.
FACTORS = (0.8, 1.2)
#: So often a value is drawn anew from its domain instead.
RESAMPLE_PROBABILITY = 0.25
#: How often values are drawn again that are those of the parent, such as at the end of a range.
_MAX_REDRAWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbed:
    """A variant beside the one that it comes from.

    Attributes:
        variant: The new one.
        before: The values of the other one, by the names of the parameters that differ.
    """

    variant: Variant
    before: Mapping[str, Value]

    @property
    def after(self) -> dict[str, Value]:
        """The new values by name."""
        return {name: self.variant.params[name] for name in self.before}


def perturbed(variant: Variant, *, space: SearchSpace, random: np.random.Generator) -> Perturbed | None:
    """Returns a variant that goes on from another one's weights; None if no value of it can change.

    Each parameter that may change is multiplied by 0.8 or 1.2, within its range, or, one time in four, drawn anew. A
    whole number, a stepped one or a choice moves to the next value up or down instead. What is 0 stays so, and nothing
    becomes 0: a training without weight decay, say, has another graph.

    Source: Jaderberg et al. 2017, arXiv:1711.09846, section 4.1.

    Args:
        variant: The one to go on from.
        space: The study's.
        random: Equal generators, equal variants.
    """
    names = [name for name in changeable_parameters(space, family=variant.family) if name in variant.params]
    for _ in range(_MAX_REDRAWS if names else 0):
        values = dict(variant.params)
        for name in names:
            value = _moved(space.parameter(name).domain, values[name], random=random)
            values[name] = value if (value == 0) == (values[name] == 0) else values[name]
        found = make_variant(space, {"family": variant.family, **values}, seed=variant.seed)
        if before := {name: variant.params[name] for name in names if found.params[name] != variant.params[name]}:
            return Perturbed(variant=found, before=before)
    return None


def _moved(domain: Domain, value: Value, *, random: np.random.Generator) -> Value:
    """Returns another value of a domain, drawn always as often, so that one parameter does not change the next."""
    is_new, place, step = random.random() < RESAMPLE_PROBABILITY, random.random(), int(random.integers(len(FACTORS)))
    if is_new:
        return value_at(domain, place)
    if isinstance(domain, Float) and domain.size is None and isinstance(value, int | float):
        return domain.normalise(min(max(value * FACTORS[step], domain.low), domain.high))
    return _neighbour(domain, value, up=bool(step))


def _neighbour(domain: Domain, value: Value, *, up: bool) -> Value:
    """Returns the next value of a countable domain, the same one at its end."""
    size, by = domain.size or 1, 1 if up else -1
    if isinstance(domain, Int) and isinstance(value, int):
        return domain.at(min(max((value - domain.low) // (domain.step or 1) + by, 0), size - 1))
    # Each value has an equal share of the axis.
    index = round(place_of(domain, value) * size - 0.5)
    return value_at(domain, (min(max(index + by, 0), size - 1) + 0.5) / size)
