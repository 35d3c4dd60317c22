"""The variants of replicates: what the original has, with another seed."""

import hashlib
from dataclasses import replace

from search_spaces import Variant

_LARGEST_SEED = 2**31 - 1


def replicate_of(variant: Variant, *, number: int, seed: int) -> Variant:
    """Returns a variant with the seed of its replicate, which follows from the arguments alone.

    >>> variant = Variant(family="sequential", params={"filters": 16}, seed=7)
    >>> first, second = (replicate_of(variant, number=number, seed=7) for number in (0, 1))
    >>> first.params == variant.params, len({variant.seed, first.seed, second.seed})
    (True, 3)

    Args:
        variant: The original's.
        number: Of the replicate, from 0.
        seed: The study's.
    """
    digest = hashlib.sha256(f"replicate {seed} {variant.variant_id} {number}".encode()).digest()
    other = int.from_bytes(digest[:8], "big") % _LARGEST_SEED
    # Never the original's own.
    return replace(variant, seed=other if other < variant.seed else other + 1)
