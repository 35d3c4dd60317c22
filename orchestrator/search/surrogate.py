"""The Gaussian process that stands for a study's objective: what it sees of trials, and what it expects of others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from search_spaces import Choice, SearchSpace
from search_spaces.axes import is_ordered, varies

if TYPE_CHECKING:
    from sklearn.gaussian_process.kernels import Kernel

Array = np.ndarray

#: Values lower than this many interquartile ranges below the lower quartile count as that much lower.
_FENCE = 1.5
#: The length of a coordinate that makes no difference.
_NEVER = 1e9
#: Steps of the search for the kernel's parameters.
_ITERATIONS = 30


class Features:
    """Turns points of a cube into coordinates: one for each axis, and one for each of more than two named options.

    An inactive parameter lies in the middle.

    Args:
        space: The study's.
    """

    def __init__(self, space: SearchSpace) -> None:
        domains = [item.domain for item in space.parameters if varies(item.domain)]
        self._widths = [
            domain.size if isinstance(domain, Choice) and domain.size > 2 and not is_ordered(domain) else 1
            for domain in domains
        ]

    def of(self, points: Array) -> Array:
        """Returns the coordinates of points, each from 0 to 1: (count, coordinates).

        Args:
            points: Places on the axes, NaN where inactive, (count, axes).
        """
        columns = []
        for places, width in zip(points.T, self._widths, strict=True):
            if width == 1:
                columns.append(places[:, None])
            else:
                options = np.floor(places * width)[:, None] == np.arange(width)
                columns.append(np.where(np.isnan(places)[:, None], np.nan, options))
        return np.nan_to_num(np.concatenate(columns, axis=1), nan=0.5)


class Surrogate:
    """A Gaussian process with a Matern kernel (5/2), a length for each coordinate, and noise.

    Args:
        features: The coordinates of trials, (count, width).
        scores: Their scores.
    """

    def __init__(self, features: Array, scores: Array) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel

        kernel = ConstantKernel(1.0, (0.05, 20.0)) * self._likeness(features.shape[1])
        kernel += WhiteKernel(1e-2, (1e-5, 1.0))
        # The library's defaults as well: a study that is resumed with another version must go on alike.
        self._model = GaussianProcessRegressor(
            kernel=kernel, alpha=1e-10, optimizer=_likeliest, n_restarts_optimizer=0, normalize_y=False
        )
        self._features, self._scores = features, scores
        with warnings.catch_warnings():
            # A length at the end of its bounds is a parameter without effect.
            warnings.simplefilter("ignore")
            self._model.fit(features, scores)

    def _likeness(self, width: int) -> Kernel:
        """Returns how alike the scores of two points are, 1 where they are one."""
        from sklearn.gaussian_process.kernels import Matern

        return Matern(np.full(width, 0.5), (0.05, 20.0), nu=2.5)

    def expect(self, features: Array) -> tuple[Array, Array]:
        """Returns means and standard deviations of the objective there, without noise."""
        means, deviations = self._model.predict(features, return_std=True)
        noise = self._model.kernel_.k2.noise_level
        return means, np.sqrt(np.maximum(deviations**2 - noise, 1e-12))

    def believe(self, features: Array) -> None:
        """Takes for seen what it expects of running trials."""
        expected = self._model.predict(features)
        self._features = np.vstack([self._features, features])
        self._scores = np.concatenate([self._scores, expected])
        self._model.set_params(kernel=self._model.kernel_, optimizer=None)
        self._model.fit(self._features, self._scores)

    @property
    def best(self) -> float:
        """The highest expectation at a trial that was seen or believed."""
        return float(self._model.predict(self._features).max())


class ForgettingSurrogate(Surrogate):
    """A Gaussian process whose first coordinate is a time: the further two points lie apart in it, the less alike.

    Their likeness falls by the same share in each unit of time, so that what is long ago counts for little.
    """

    def _likeness(self, width: int) -> Kernel:
        """Returns the likeness of two points by all but their times, times that by their times alone."""
        from sklearn.gaussian_process.kernels import Matern

        first = np.arange(width) == 0

        def of(coordinates: Array, *, start: float, low: float, high: float, nu: float) -> Kernel:
            lengths = np.where(coordinates, start, _NEVER)
            bounds = np.where(coordinates[:, None], [[low, high]], [[_NEVER, 2 * _NEVER]])
            return Matern(lengths, bounds, nu=nu)

        rest = of(~first, start=0.5, low=0.05, high=20.0, nu=2.5)
        # (1 - e) to the power of half the time, as the source has it, is this kernel.
        return rest * of(first, start=5.0, low=0.5, high=100.0, nu=0.5)


def _likeliest(objective: Callable[[Array], tuple[float, Array]], start: Array, bounds: Array) -> tuple[Array, float]:
    """Returns the kernel's parameters of the largest posterior, and their loss, as scikit-learn asks for it.

    Few trials say little of many lengths, so each parameter's logarithm has a normal prior around its start.

    Args:
        objective: Returns the loss, and its gradient if it is asked for it.
        start: The parameters' logarithms.
        bounds: Theirs.
    """
    from scipy.optimize import minimize

    def loss(theta: Array) -> tuple[float, Array]:
        value, gradient = objective(theta)
        away = theta - start
        return value + 0.5 * float(away @ away), gradient + away

    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return found.x, float(found.fun)


def scores_of(values: Sequence[float | None]) -> Array:
    """Returns values as scores of mean 0 and standard deviation 1; outliers below are drawn in, None is the lowest.

    >>> scores_of([0.5, 0.7, None]).round(2).tolist()
    [-0.71, 1.41, -0.71]
    """
    known = np.array([value for value in values if value is not None])
    low, high = np.quantile(known, [0.25, 0.75])
    floor = max(known.min(), low - _FENCE * (high - low))
    filled = np.array([floor if value is None else max(value, floor) for value in values])
    return (filled - filled.mean()) / (filled.std() or 1.0)


def chance_to_keep(features: Array, excesses: Array, wanted: Array) -> Array:
    """Returns how likely points keep to all constraints, each of them modelled alone.

    Source: Gardner et al. 2014, "Bayesian Optimization with Inequality Constraints", ICML.

    Args:
        features: The coordinates of trials, (count, width).
        excesses: How far each trial is beyond each constraint, (count, constraints).
        wanted: The coordinates of the points.
    """
    from scipy.stats import norm

    chance = np.ones(len(wanted))
    for column in excesses.T:
        # Costs differ by powers of ten: what counts is on which side of the limit they are, and roughly how far.
        shares = np.arcsinh(column / (np.median(np.abs(column)) or 1.0))
        spread = shares.std()
        if spread and (column > 0).any():
            means, deviations = Surrogate(features, (shares - shares.mean()) / spread).expect(wanted)
            chance *= norm.cdf((-shares.mean() / spread - means) / deviations)
    return chance


def expected_improvement(means: Array, deviations: Array, *, best: float) -> Array:
    """Returns how much more than the best is expected, counting less as nothing."""
    from scipy.stats import norm

    ahead = (means - best) / deviations
    return deviations * (ahead * norm.cdf(ahead) + norm.pdf(ahead))
