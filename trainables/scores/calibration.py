"""Whether probabilities mean what they say: the reliability curve and the expected calibration error."""

from typing import Any

import numpy as np

#: Ranges of probability that the curve has, all of one width.
NUM_BINS = 10

Numbers = np.ndarray[Any, np.dtype[Any]]


class Calibration:
    """Counts how often answers of a stated probability are right, batch by batch.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 2.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(NUM_BINS, np.int64)
        self._stated = np.zeros(NUM_BINS, np.float64)
        self._right = np.zeros(NUM_BINS, np.int64)

    def add(self, stated: Numbers, is_right: Numbers) -> None:
        """Counts some answers.

        Args:
            stated: The probability that each answer states, (count,).
            is_right: Whether it is right, bool (count,).
        """
        places = np.clip((stated * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)
        self._counts += np.bincount(places, minlength=NUM_BINS)
        self._stated += np.bincount(places, weights=stated.astype(np.float64), minlength=NUM_BINS)
        self._right += np.bincount(places[is_right], minlength=NUM_BINS)

    def to_json(self) -> dict[str, Any]:
        """Returns the bins that have answers, and the expected calibration error.

        >>> calibration = Calibration()
        >>> calibration.add(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
        >>> calibration.to_json()["expected_error"]
        0.0
        """
        filled = np.flatnonzero(self._counts)
        stated, right = self._stated[filled] / self._counts[filled], self._right[filled] / self._counts[filled]
        total = max(1, int(self._counts.sum()))
        return {
            "bins": [
                {
                    "from": round(place / NUM_BINS, 6),
                    "to": round((place + 1) / NUM_BINS, 6),
                    "answers": int(self._counts[place]),
                    "stated": float(mean),
                    "right": float(share),
                }
                for place, mean, share in zip(filled.tolist(), stated, right, strict=True)
            ],
            "expected_error": float((self._counts[filled] * np.abs(stated - right)).sum() / total),
        }
