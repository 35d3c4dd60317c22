"""The least and the greatest value of each metric, by its name."""

import math

from orchestrator.replicates.interval import UNBOUNDED, Ends
from trainables.specs.targets import METRICS

_LOSSES = frozenset({"mae", "mse", "rmse", "mape"})
_BOUNDS: dict[str, Ends] = {
    **{name: (0.0, math.inf) if name in _LOSSES else (-math.inf, 1.0) for name in METRICS["regression"]},
    **{name: (0.0, 1.0) for kind, names in METRICS.items() if kind != "regression" for name in names},
}


def bounds_of(metric: str) -> Ends:
    """Returns the least and the greatest value of a metric; infinite ones where it has none, or is not known.

    >>> bounds_of("val_accuracy"), bounds_of("val_digit_top_2_accuracy"), bounds_of("val_digit_mae")
    ((0.0, 1.0), (0.0, 1.0), (0.0, inf))
    >>> bounds_of("val_loss"), bounds_of("val_r2_score")
    ((-inf, inf), (-inf, 1.0))

    Args:
        metric: With its split and perhaps its target, such as val_digit_accuracy.
    """
    return next((bounds for name, bounds in _BOUNDS.items() if f"_{metric}".endswith(f"_{name}")), UNBOUNDED)
