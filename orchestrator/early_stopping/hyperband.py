"""Asynchronous Hyperband: several halvings side by side, each with another grace."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from orchestrator.early_stopping.asha import Asha
from orchestrator.early_stopping.decider import Arrival, Reported, Rules, Verdict


class Hyperband:
    """Shares the trials out among brackets; each is an ASHA of its own that begins a rung later than the one before.

    One halving bets on a grace: too short a one stops those that learn slowly, too long a one wastes epochs. Of several
    brackets the first judges from grace_epochs on, the second from grace_epochs * reduction_factor, and so on; the last
    ones may have no rung below max_epochs, and stop no trial. A trial is compared with those of its bracket alone.

    Which bracket a trial is in follows from the study's seed and the trial's number. The brackets' shares are those of
    Hyperband's numbers of configurations, reduction_factor^-k / (brackets - k) for the bracket after k others. With 3
    brackets and a factor of 3 they are 55 %, 27 % and 18 %.

    Source: Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18,
    algorithm 1; Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys, section 3.2. Hyperband
    runs its brackets one after another and fills each rung before it judges: these run at the same time and wait for
    nobody.

    Args:
        rules: The study's.

    Attributes:
        brackets: The one with the shortest grace first.
    """

    def __init__(self, rules: Rules) -> None:
        num_brackets, factor = rules.schedule.brackets, rules.schedule.reduction_factor
        self._seed = rules.seed
        self._shares = bracket_shares(num_brackets, factor=factor)
        self.brackets = [
            Asha(
                rules,
                said=f"hyperband, bracket {number + 1} of {num_brackets}",
                rivals="trials of its bracket",
                skipped=number,
            )
            for number in range(num_brackets)
        ]

    @property
    def milestones(self) -> list[list[float]]:
        """The epochs of the rungs of each bracket, ascending."""
        return [milestones for bracket in self.brackets for milestones in bracket.milestones]

    def arrival(self, report: Reported) -> Arrival | None:
        """Returns the rung of its bracket that a report gets to; None if there is none."""
        bracket = self._bracket(report)
        found = bracket.arrival(report)
        return None if found is None else replace(found, bracket=self.brackets.index(bracket))

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial is among the best of the rung that it arrives at in its bracket."""
        return self._bracket(report).judge(report)

    def complete(self, report: Reported) -> None:
        """Adds the trial to the rung of its bracket that it arrived at."""
        self._bracket(report).complete(report)

    def _bracket(self, report: Reported) -> Asha:
        return self.brackets[bracket_of(report.number, seed=self._seed, shares=self._shares)]


def bracket_shares(num_brackets: int, *, factor: float) -> list[float]:
    """Returns which share of the trials each bracket gets.

    >>> [round(share, 2) for share in bracket_shares(3, factor=3)]
    [0.55, 0.27, 0.18]
    """
    weights = [factor**-skipped / (num_brackets - skipped) for skipped in range(num_brackets)]
    return [weight / sum(weights) for weight in weights]


def bracket_of(number: int, *, seed: int, shares: Sequence[float]) -> int:
    """Returns a trial's bracket, from 0: drawn by the shares, always the same for a seed and a number.

    A draw by a hash, and no sequence that keeps the shares exact: such a one would go in step with a grid.
    """
    digest = hashlib.sha256(f"hyperband {seed} {number}".encode()).digest()
    drawn = int.from_bytes(digest[:8]) / 2**64
    return sum(drawn >= bound for bound in list(accumulate(shares))[:-1])
