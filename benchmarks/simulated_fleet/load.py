"""What the simulated workers do: how long an epoch takes them, how often they fail or are preempted."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a fleet does to its driver.

    Attributes:
        workers: How many trials run at the same time.
        epoch_seconds: The median time of an epoch; 0: every worker reports as soon as the driver lets it.
        spread: The standard deviation of the logarithm of an epoch's time.
        stragglers: The share of workers that take `slowdown` times as long.
        slowdown: How much longer stragglers take.
        failures: The share of epochs that end their trial with a failure.
        preemptions: The share of epochs whose worker is taken away.
        start_seconds: What a new worker takes until it is ready.
        seed: Of all that is drawn.
    """

    workers: int
    epoch_seconds: float = 5.0
    spread: float = 0.25
    stragglers: float = 0.02
    slowdown: float = 4.0
    failures: float = 0.0005
    preemptions: float = 0.001
    start_seconds: float = 2.0
    seed: int = 7

    def in_words(self) -> str:
        """Returns the load in one line."""
        every = f"an epoch each {self.epoch_seconds:g} s" if self.epoch_seconds else "epochs that take no time"
        return (
            f"{self.workers:,} workers, {every} (log-normal, sigma {self.spread:g}), {self.stragglers:.1%} of workers "
            f"{self.slowdown:g} times slower, {self.failures:.2%} of epochs fail, {self.preemptions:.2%} are "
            f"preempted, seed {self.seed}"
        )


class Draws:
    """The draws of one worker; they depend on the seed and the worker's number alone.

    Args:
        load: The fleet's.
        worker: Its number, from 0.
    """

    def __init__(self, load: Load, *, worker: int) -> None:
        self._load = load
        self._numbers = np.random.default_rng([load.seed, worker])
        self._is_straggler = self._numbers.random() < load.stragglers

    def epoch_seconds(self) -> float:
        """Returns what the next epoch takes."""
        factor = float(np.exp(self._load.spread * self._numbers.standard_normal()))
        return self._load.epoch_seconds * factor * (self._load.slowdown if self._is_straggler else 1.0)

    def fate(self) -> str:
        """Returns how the next epoch ends: "report", "failure" or "preemption"."""
        draw = self._numbers.random()
        if draw < self._load.failures:
            return "failure"
        return "preemption" if draw < self._load.failures + self._load.preemptions else "report"

    def loses_an_epoch(self) -> bool:
        """Returns whether the checkpoint that a trial goes on from is an epoch older than its last report."""
        return bool(self._numbers.random() < 1 / 2)
