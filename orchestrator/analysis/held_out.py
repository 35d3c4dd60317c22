"""Models that say what the objective is at parameters, always of trials that a model has not seen."""

import warnings

import numpy as np

Array = np.ndarray

#: What the models are made with: imported when they are asked for, or ahead of that.
MODELS = ("sklearn.tree", "sklearn.gaussian_process")
_NUM_TREES = 100
_NUM_PARTS = 5
#: A Gaussian process of more trials takes too long; a forest of so many is as good.
MOST_FOR_PROCESS = 200


def by_forest(features: Array, scores: Array, *, rng: np.random.Generator) -> Array:
    """Returns what a random forest expects: of each trial, by the trees that were grown without it.

    Args:
        features: Versions of the trials' coordinates, (versions, trials, width); trees are grown on the first.
        scores: What the first version of each trial has.
        rng: Draws the trials of each tree.

    Returns:
        (versions, trials).
    """
    # Late: only this function needs it.
    from sklearn.tree import DecisionTreeRegressor

    versions, count, width = features.shape
    total, num_trees = np.zeros((versions, count)), np.zeros(count)
    for _ in range(_NUM_TREES):
        drawn = rng.integers(0, count, count)
        left_out = np.setdiff1d(np.arange(count), drawn)
        tree = DecisionTreeRegressor(random_state=int(rng.integers(2**31)))
        tree.fit(features[0, drawn], scores[drawn])
        flat = np.ascontiguousarray(features[:, left_out]).reshape(-1, width)
        total[:, left_out] += tree.predict(flat).reshape(versions, -1) if len(left_out) else 0.0
        num_trees[left_out] += 1
    return total / np.maximum(num_trees, 1)


def by_gaussian_process(features: Array, scores: Array, *, rng: np.random.Generator) -> Array:
    """Returns what a Gaussian process expects: of each fifth of the trials, by one of the other trials.

    Args:
        features: Versions of the trials' coordinates, (versions, trials, width); it is fitted to the first.
        scores: What the first version of each trial has.
        rng: Deals out the trials.

    Returns:
        (versions, trials).
    """
    # Late: only this function needs it.
    from orchestrator.search.surrogate import Surrogate

    versions, count, width = features.shape
    expected, part_of = np.zeros((versions, count)), rng.permutation(count) % _NUM_PARTS
    for part in range(_NUM_PARTS):
        tests, others = part_of == part, part_of != part
        mean, deviation = scores[others].mean(), scores[others].std() or 1.0
        model = Surrogate(features[0, others].astype(float), (scores[others] - mean) / deviation)
        with warnings.catch_warnings():
            # Of deviations, which do not count here: rounding may make a variance negative.
            warnings.simplefilter("ignore")
            means, _ = model.expect(features[:, tests].reshape(-1, width).astype(float))
        expected[:, tests] = mean + deviation * means.reshape(versions, -1)
    return expected
