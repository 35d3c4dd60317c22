"""Checks intervals and the expected drop of the best of n against simulated studies, whose hidden shares are known.

    python benchmarks/best_of_n.py --studies 10000

A study has n trials of five epochs on m validation images. Each trial has a hidden share of images that it is right on,
drawn by a scenario; its epochs rise to it. Each report is right on so many of the m images, by chance. The best report
wins. The table says what the winner loses on new images on average; what `expected_drop` says of it; how often the true
share of a fixed report, and of the winner, lies in Wilson's interval; how often a winner is claimed over a majority
class of the share that guessers have.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.results.chance import expected_drop, luck_p_value
from trainables.scores.interval import wilson_interval

NUM_EPOCHS = 5
MAJORITY = 1 / 3

Draw = Callable[[np.random.Generator, int], np.ndarray]

#: The hidden shares of so many trials.
SCENARIOS: dict[str, Draw] = {
    "guessers": lambda random, count: np.full(count, MAJORITY),
    "all alike, 0.9": lambda random, count: np.full(count, 0.9),
    "around 0.7, sd 0.1": lambda random, count: np.clip(random.normal(0.7, 0.1, count), 0.01, 0.99),
    "around 0.7, sd 0.03": lambda random, count: np.clip(random.normal(0.7, 0.03, count), 0.01, 0.99),
    "half 0.33, half 0.85": lambda random, count: np.where(random.random(count) < 0.5, 0.33, 0.85),
    "most 0.33, some 0.9": lambda random, count: np.where(random.random(count) < 0.8, 0.33, 0.9),
    "beta(5, 1.5)": lambda random, count: random.beta(5, 1.5, count),
}


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What many studies of one kind came to, as means.

    Attributes:
        actual: What the best report's share lies above its hidden share.
        expected: What `expected_drop` says of it.
        covered_one: How often the hidden share of a fixed report lies in its interval.
        covered_best: How often that of the best report lies in its interval.
        claimed: How often the best is taken for better than the majority class.
    """

    actual: float
    expected: float
    covered_one: float
    covered_best: float
    claimed: float


def simulated(draw: Draw, *, num_trials: int, count: int, num_studies: int, seed: int) -> Simulated:
    """Returns what simulated studies came to.

    Args:
        draw: Draws the hidden shares of a study's trials.
        num_trials: The trials of a study.
        count: Its validation images.
        num_studies: How many studies.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    rows = [_study(draw(random, num_trials), count=count, random=random) for _ in range(num_studies)]
    actual, expected, one, best, claimed = np.mean(rows, axis=0)
    return Simulated(actual=actual, expected=expected, covered_one=one, covered_best=best, claimed=claimed)


def _study(hidden: np.ndarray, *, count: int, random: np.random.Generator) -> tuple[float, ...]:
    # Guessers stay guessers; what learns rises from a guesser's share to its own.
    progress = 1 - 0.5 ** np.arange(1, NUM_EPOCHS + 1)
    shares = MAJORITY + np.outer(hidden - MAJORITY, progress / progress[-1])
    hits = random.binomial(count, shares)
    places = np.flatnonzero(hits.ravel() == hits.max())
    best = shares.ravel()[random.choice(places)]
    value = hits.max() / count
    expected = expected_drop(Counter(hits.ravel().tolist()), count=count)
    fixed = wilson_interval(hits[0, -1] / count, count=count)
    ends = wilson_interval(value, count=count)
    luck = luck_p_value(value, reference=MAJORITY, count=count, looks=hits.size)
    return value - best, expected, fixed[0] <= shares[0, -1] <= fixed[1], ends[0] <= best <= ends[1], luck <= 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--studies", type=int, default=10_000, help="Simulated studies in all, shared out over the rows."
    )
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args(arguments)
    sizes = [(num_trials, count) for num_trials in (10, 30) for count in (14, 100, 1_000)]
    each = max(1, wanted.studies // (len(SCENARIOS) * len(sizes)))
    print(f"{each} studies a row, seed {wanted.seed}")
    print(f"{'scenario':<22}{'n':>4}{'m':>6}{'drop':>8}{'said':>8}{'one in':>8}{'best in':>9}{'claimed':>9}")
    for name, draw in SCENARIOS.items():
        for num_trials, count in sizes:
            found = simulated(draw, num_trials=num_trials, count=count, num_studies=each, seed=wanted.seed)
            print(
                f"{name:<22}{num_trials:>4}{count:>6}{found.actual:>8.3f}{found.expected:>8.3f}{found.covered_one:>8.2f}"
                f"{found.covered_best:>9.2f}{found.claimed:>9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
