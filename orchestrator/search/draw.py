"""Which draw a searcher is asked for."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One draw of a study: all that it may depend on beside earlier trials.

    Attributes:
        study_seed: The study's.
        number: Of the trial that it is for.
        attempt: How often this trial was drawn for before, and the values had been tried.
    """

    study_seed: int
    number: int
    attempt: int

    @property
    def seed(self) -> int:
        """A seed of this draw alone."""
        return int(np.random.SeedSequence([self.study_seed, self.number, self.attempt]).generate_state(1)[0])
