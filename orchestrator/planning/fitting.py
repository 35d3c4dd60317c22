"""A least-squares fit whose numbers are all at least 0: times add up and none of them is negative."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def non_negative_fit(rows: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    """Returns factors of at least 0, one a column, whose sums are closest to some targets.

    The squares of errors count, divided by the targets: a second matters less in an hour than in a minute. With more
    columns than rows the fewest columns that do as well are used.

    >>> [round(factor, 6) for factor in non_negative_fit([[1, 10], [2, 10], [4, 20]], [12.0, 14.0, 28.0])]
    [2.0, 1.0]
    >>> non_negative_fit([[1, 1], [1, 2]], [4.0, 2.0])[1]
    0.0

    Args:
        rows: One a target; numbers of at least 0.
        targets: Above 0.
    """
    wanted = np.sqrt(np.asarray(targets, dtype=float))
    given = np.asarray(rows, dtype=float) / wanted[:, None]
    num_rows, num_columns = given.shape
    best, found = float(wanted @ wanted), [0.0] * num_columns
    for size in range(1, min(num_rows, num_columns) + 1):
        for chosen in combinations(range(num_columns), size):
            factors, *_ = np.linalg.lstsq(given[:, chosen], wanted, rcond=None)
            error = float(((given[:, chosen] @ factors - wanted) ** 2).sum())
            if (factors >= 0).all() and error < best * (1 - 1e-9):
                best = error
                found = [0.0] * num_columns
                for column, factor in zip(chosen, factors, strict=True):
                    found[column] = float(factor)
    return found


def weighed(factors: Sequence[float], row: Sequence[float]) -> float:
    """Returns the sum of a row's numbers, each times its factor.

    >>> weighed([2.0, 1.0], [3.0, 4.0])
    10.0
    """
    return sum(factor * value for factor, value in zip(factors, row, strict=True))
