"""Points that fill a space more evenly than random ones: a scrambled Sobol sequence.

Source: Sobol 1967, "On the distribution of points in a cube and the approximate evaluation of integrals"; Owen 1998,
"Scrambling Sobol' and Niederreiter-Xing points", J. Complexity 14.
"""

import warnings
from typing import Any, ClassVar

import numpy as np

from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.unit_cube import UnitCube
from orchestrator.study.spec import StudySpec


class Sobol:
    """Takes for each trial the point of its number in one sequence, which the study's seed scrambles.

    Args:
        spec: The study.
    """

    learns: ClassVar[bool] = False

    def __init__(self, spec: StudySpec) -> None:
        self._cube = UnitCube(spec.space)

    def ask(self, history: History, draw: Draw) -> dict[str, Any]:
        """Returns the values of a point; random ones where that was tried."""
        del history  # The sequence is all there is.
        return self._cube.values_at(sobol_point(draw, num_axes=len(self._cube.names)))


def sobol_point(draw: Draw, *, num_axes: int) -> np.ndarray:
    """Returns a point of a study's sequence, a random one from the second attempt on; numbers from 0 to 1."""
    from scipy.stats import qmc

    if draw.attempt or num_axes == 0 or num_axes > qmc.Sobol.MAXDIM:
        return np.random.default_rng(draw.seed).random(num_axes)
    # The library's defaults as well: a study that is resumed with another version must go on alike.
    sequence = qmc.Sobol(d=num_axes, scramble=True, bits=30, rng=draw.study_seed, optimization=None)
    with warnings.catch_warnings():
        # Points are taken one by one, so there is never a power of two of them.
        warnings.simplefilter("ignore", UserWarning)
        return sequence.fast_forward(draw.number).random(1)[0] if draw.number else sequence.random(1)[0]
