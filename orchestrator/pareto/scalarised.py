"""Several objectives as one number, other weights for each draw.

Source: Knowles 2006, "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective
Optimization Problems", IEEE Transactions on Evolutionary Computation 10.
"""

from collections.abc import Sequence

import numpy as np

from orchestrator.pareto.goals import Losses

#: The share of the weighted sum beside the weighted maximum, so that of equal maxima the smaller sum is better.
SUM_SHARE = 0.05


def scalarised(points: Sequence[Losses], *, seed: int) -> list[float]:
    """Returns a number for each point, larger is better: an augmented Tchebycheff function of random weights.

    Each objective counts from its best to its worst value of these points.

    >>> [round(value, 3) for value in scalarised([(0, 1), (1, 0), (1, 1)], seed=1)]
    [-0.234, -0.816, -0.827]

    Args:
        points: One number an objective, smaller is better; at least one point.
        seed: Of the weights.
    """
    losses = np.array(points, float)
    low, high = losses.min(axis=0), losses.max(axis=0)
    shares = (losses - low) / np.where(high > low, high - low, 1.0)
    weighted = shares * np.random.default_rng(seed).dirichlet(np.ones(losses.shape[1]))
    return [float(value) for value in -(weighted.max(axis=1) + SUM_SHARE * weighted.sum(axis=1))]
