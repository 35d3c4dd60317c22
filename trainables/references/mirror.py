"""Whether left and right differ in the pixels: how many mirrored images a linear guess still tells."""

import sys
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress
from trainables.specs.dataset import DatasetInfo

#: The most images that the guess is fitted to, and those that it is asked about.
MOST_FITTED, MOST_ASKED = 2_000, 1_000
#: How likely chance may make as many images change, and the share of what the guess knows that must be lost.
_LEVEL, _LOST_SHARE = 0.01, 0.25
_PENALTY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorTest:
    """What a guess by a linear function of small pixels makes of mirror images.

    Attributes:
        count: Validation images.
        upright: The share of them that it tells.
        mirrored: The share that it tells of their mirror images.
        matters: Whether that is less by more than chance allows, and by much.
    """

    count: int
    upright: float
    mirrored: float
    matters: bool


def mirror_test(dataset: DatasetInfo) -> MirrorTest | None:
    """Returns what a child process found about a data set of one target of classes; None for others.

    Args:
        dataset: A data set that is prepared on this node.

    Raises:
        DataError: The child failed.
    """
    targets = dataset.task.targets
    if len(targets) != 1 or targets[0].kind != "classification" or not dataset.num_validation:
        return None
    answer = ask_child(
        "trainables.references.mirror",
        {"dataset": dataset.to_json()},
        what="the process that looks at mirror images",
        on_progress=no_progress,
    )
    return MirrorTest(**answer)


def judged(truth: Array, *, upright: Array, mirrored: Array, num_classes: int) -> MirrorTest:
    """Returns the verdict on answers to images and to their mirror images.

    Of images of which one is told and the other is not, as many are expected either way where left and right are alike
    (McNemar's exact test, one-sided). A loss must be large as well: many images show small ones.

    >>> truth = np.arange(40) % 2
    >>> judged(truth, upright=truth, mirrored=1 - truth, num_classes=2).matters
    True
    >>> judged(truth, upright=truth, mirrored=truth, num_classes=2).matters
    False

    Args:
        truth: Classes, (count,).
        upright: Answers to the images, (count,).
        mirrored: Answers to their mirror images, (count,).
        num_classes: Chance is one of so many.
    """
    is_told, is_told_mirrored = upright == truth, mirrored == truth
    lost, won = int((is_told & ~is_told_mirrored).sum()), int((is_told_mirrored & ~is_told).sum())
    share, share_mirrored = float(is_told.mean()), float(is_told_mirrored.mean())
    known = share - 1 / num_classes
    chance = sum(comb(lost + won, number) for number in range(lost, lost + won + 1)) / 2 ** (lost + won)
    matters = chance < _LEVEL and share - share_mirrored >= _LOST_SHARE * known > 0
    return MirrorTest(count=len(truth), upright=share, mirrored=share_mirrored, matters=matters)


def _linear(images: Array, labels: Array, *, num_classes: int) -> Array:
    """Returns coefficients (values + 1, classes) of a ridge regression on classes' 0 and 1; the last row is added."""
    values = np.hstack([images, np.ones((len(images), 1), images.dtype)]).astype(np.float64)
    wanted = np.eye(num_classes)[labels]
    if len(values) <= values.shape[1]:
        # The same by fewer equations, where images are fewer than values.
        return values.T @ np.linalg.solve(values @ values.T + _PENALTY * np.eye(len(values)), wanted)
    return np.linalg.solve(values.T @ values + _PENALTY * np.eye(values.shape[1]), values.T @ wanted)


def _answers(images: Array, coefficients: Array) -> Array:
    return np.argmax(images @ coefficients[:-1] + coefficients[-1], axis=1)


def _test(request: Any, _: OnProgress) -> Any:
    # Late: the caller imports this module too, and images' libraries take time.
    from trainables.data.cache.dataset import open_dataset
    from trainables.references.pixels import SIDE, small_pixels, spread_rows

    dataset = open_dataset(DatasetInfo.from_json(request["dataset"]))
    [target] = dataset.info.task.targets
    found = []
    for split, most in ((dataset.train, MOST_FITTED), (dataset.validation, MOST_ASKED)):
        rows = spread_rows(np.asarray(split.indices), most=most)
        found.append((small_pixels(split, rows), np.asarray(split.labels[target.name][rows])))
    (images, labels), (asked, truth) = found
    coefficients = _linear(images, labels, num_classes=target.size)
    height, width = dataset.info.task.input_shape[:2]
    grid = (len(asked), min(height, SIDE), min(width, SIDE), -1)
    turned = asked.reshape(grid)[:, :, ::-1].reshape(len(asked), -1)
    verdict = judged(
        truth,
        upright=_answers(asked, coefficients),
        mirrored=_answers(turned, coefficients),
        num_classes=target.size,
    )
    return asdict(verdict)


if __name__ == "__main__":
    sys.exit(answer_caller(_test))
