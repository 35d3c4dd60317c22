"""A user's guess at good values: at first, every other trial is drawn near it, later ever fewer are.

Source: Souza et al. 2021, "Bayesian Optimization with a Prior for the Optimum", ECML PKDD; Hvarfner et al. 2022, "piBO:
Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization", ICLR (a belief whose weight falls as one
over the number of the trial). What weighs a searcher's own draws there is a coin here, so that it serves all searchers.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from orchestrator.search.draw import Draw
from orchestrator.search.unit_cube import UnitCube, place_of
from orchestrator.study.sections import STARTUP_TRIALS
from orchestrator.study.spec import StudySpec
from search_spaces import Domain
from search_spaces.axes import is_ordered, varies

#: The share of the first STARTUP_TRIALS trials that are drawn near the guess; then it falls as one over the number.
FIRST_SHARE = 0.5
#: How far such a draw lies from the guess, in standard deviations of the whole length of a parameter's axis.
SPREAD = 0.2
#: How often such a draw takes the guessed one of named options; else it takes any of them.
KEPT = 2 / 3
#: Keeps the coin's random numbers apart from those of the searchers, which have the same seed.
_STREAM = 1


class Prior:
    """Moves some of a searcher's draws to a guess: the parameters that it names, the others stay.

    A draw is a function of the seed, the trial's number and the searcher's values alone. A grid has its own order, so
    the guess changes nothing there.

    Args:
        spec: The study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._cube = UnitCube(spec.space)
        guess = {} if spec.search.algorithm == "grid" else spec.search.prior
        domains = {item.name: item.domain for item in spec.space.parameters if varies(item.domain)}
        #: Of each axis the parameter's domain, and its guess as a place from 0 to 1, if it has one.
        self._guesses = [
            (domain, place_of(domain, domain.normalise(guess[name])) if name in guess else None)
            for name, domain in domains.items()
        ]
        self._is_empty = not guess

    def moved(self, values: Mapping[str, Any], draw: Draw) -> dict[str, Any]:
        """Returns a searcher's values for a draw, near the guess where the coin says so.

        A parameter that only becomes active by this is drawn at random, unless it has a guess.
        """
        random = np.random.default_rng([draw.seed, _STREAM])
        if self._is_empty or random.random() >= share_near(draw.number):
            return dict(values)
        point = self._cube.point_of(values)
        for axis, (domain, guess) in enumerate(self._guesses):
            place, coin = random.random(2)
            if guess is not None:
                point[axis] = _near(guess, domain, place=place, coin=coin)
            elif np.isnan(point[axis]):
                point[axis] = place
        return self._cube.values_at(point)


def share_near(number: int) -> float:
    """Returns the share of the draws for a trial that lie near the guess.

    >>> share_near(0), share_near(16), share_near(80)
    (0.5, 0.25, 0.05)
    """
    return FIRST_SHARE * STARTUP_TRIALS / max(STARTUP_TRIALS, number)


def _near(guess: float, domain: Domain, *, place: float, coin: float) -> float:
    """Returns a place near a guess: normal around it, cut off at the ends; of named options the guessed one or any.

    Args:
        guess: The guess's place on the domain's axis.
        place: A random number from 0 to 1.
        coin: Another one.
    """
    if not is_ordered(domain):
        return guess if coin < KEPT else place
    around = NormalDist(guess, SPREAD)
    low, high = around.cdf(0.0), around.cdf(1.0)
    return min(max(around.inv_cdf(low + place * (high - low)), 0.0), 1.0)
