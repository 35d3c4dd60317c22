"""What a variant's parameters alone tell of its network: whose graphs it may run, and how long it may train."""

import functools
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.catalog.parameter import LENGTHENING, WIDTHS
from trainables.catalog.training import without_dynamic
from trainables.worker.trace_cache import trace_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What tells like variants from others.

    Attributes:
        architecture: One worker builds and traces all variants of it once; of users' code each is one.
        structure: All but the widths of its layers: variants of one structure most likely run one graph. Whether they
            do is seen on the networks themselves, in `trainables.graphs.structure`.
        size: Tells the longer from the shorter of a space's variants, roughly: the logarithm of a product of counts.
    """

    architecture: Hashable
    structure: Hashable
    size: float


#: Variants among which workers choose at a time are few; each is compared again and again.
@functools.lru_cache(maxsize=4096)
def likeness_of(variant: Variant) -> Likeness:
    """Returns what a variant's parameters tell of its network.

    >>> first, second, third = (likeness_of(Variant(family="sequential", params=params, seed=1))
    ...                         for params in ({"filters": 8}, {"filters": 9}, {"filters": 9, "num_blocks": 1}))
    >>> first.structure == second.structure, second.structure == third.structure, first.size < second.size
    (True, False, True)
    """
    family = FAMILIES[variant.family]
    if family.has_own_parameters:
        # Nobody knows what a user's code makes of them, and no worker keeps what it has built by it.
        return Likeness(architecture=variant, structure=variant, size=0.0)
    params = without_dynamic(family.with_defaults(variant.params))
    # A layer of no units is none.
    kinds = {name: value != 0 if name in WIDTHS else value for name, value in params.items()}
    return Likeness(
        architecture=trace_key(variant),
        structure=(variant.family, repr(sorted(kinds.items()))),
        size=sum(math.log1p(_total(value)) for name, value in variant.params.items() if name in LENGTHENING),
    )


def _total(value: Any) -> float:
    return float(sum(value) if isinstance(value, list | tuple) else value)
