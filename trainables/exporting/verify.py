"""Checks that an exported file predicts what its checkpoint predicts; numpy only."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainables.errors import ModelExportError
from trainables.specs.export import Answers
from trainables.specs.targets import METRICS, TargetKind, metric_name
from trainables.specs.task import Target, Task

#: The largest allowed difference of outputs, a share of those beyond 1: another graph may add up in another order.
TOLERANCE = 1e-5
#: Of numbers far below 1, beside which no tolerance is small: the mean difference that is allowed, a share of the
#: largest number, and what is rounding whatever they are.
_MOST_OF_SMALL, _LEAST = 0.1, 1e-7
#: From this probability on, a flag is set.
_FLAG_SET = 0.5
#: Metrics are float32.
_ROUNDING = 1e-6
_REMEDY = "export a format of float32 or litert_float16"


def check_outputs(
    expected: Any, actual: Any, *, what: str, tolerance: float = TOLERANCE, numbers: Collection[str] = ()
) -> float:
    """Returns the largest difference between all outputs of two models.

    expected, actual: one array (images, size), or one by output name. The outputs in `numbers` have values of any size,
    as those of a regression; "" is the lone array.

    >>> check_outputs({"age": np.array([[40.0]])}, {"age": np.array([[40.0]])}, what="model.keras")
    0.0

    Raises:
        ModelExportError: If the outputs are not the same ones, or `check_parity` finds something.
    """
    outputs, found = dict(_named(expected)), dict(_named(actual))
    if outputs.keys() != found.keys():
        raise ModelExportError(f"{what}: predicts {sorted(found)}, its checkpoint {sorted(outputs)}; export it again")
    return max(
        check_parity(
            np.asarray(value),
            np.asarray(found[name]),
            what=f"{what} {name}".strip(),
            tolerance=tolerance,
            is_each_alone=name in numbers,
        )
        for name, value in outputs.items()
    )


def check_parity(
    expected: np.ndarray, actual: np.ndarray, *, what: str, tolerance: float = TOLERANCE, is_each_alone: bool = False
) -> float:
    """Returns the largest difference between two sets of predictions, as a share of those beyond 1.

    expected, actual: float (images, size). Small numbers are compared with the largest of all, as probabilities, or if
    `is_each_alone` with the largest of their own column, as values of a regression, which may be grams and metres.

    >>> check_parity(np.array([[0.25, 0.75]]), np.array([[0.25, 0.75]]), what="model.keras")
    0.0

    Raises:
        ModelExportError: If shapes differ, anything is not finite, or the difference exceeds the tolerance, or of small
            numbers a tenth of the largest on average.
    """
    check_comparable(expected, actual, what=what)
    difference = largest_difference(expected, actual)
    if difference > tolerance:
        raise ModelExportError(
            f"{what}: predictions differ from the checkpoint's by up to {difference:.3g}, allowed is {tolerance:g}; "
            "the export is not faithful and was discarded"
        )
    columns = range(expected.shape[-1]) if is_each_alone and expected.ndim > 1 else [slice(None)]
    for column in columns:
        _check_small(expected[..., column], actual[..., column], what=what)
    return difference


def _check_small(expected: np.ndarray, actual: np.ndarray, *, what: str) -> None:
    largest = float(np.abs(expected).max(initial=0.0))
    mean = float(np.abs(expected - actual).sum()) / max(1, expected.size)
    if mean > _MOST_OF_SMALL * largest + _LEAST:
        raise ModelExportError(
            f"{what}: predictions differ from the checkpoint's by {mean:.3g} on average, and none is beyond "
            f"{largest:.3g}; the export is not faithful and was discarded"
        )


def check_comparable(expected: np.ndarray, actual: np.ndarray, *, what: str) -> None:
    """Raises ModelExportError if shapes of predictions differ, or anything is not finite."""
    if expected.shape != actual.shape:
        raise ModelExportError(
            f"{what}: predicts shape {actual.shape}, its checkpoint {expected.shape}; export it again"
        )
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
        raise ModelExportError(f"{what}: predicts values that are not finite; the model is of no use")


def largest_difference(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the largest difference between two arrays, as a share of those values beyond 1.

    >>> largest_difference(np.array([0.5, 100.0]), np.array([0.5, 101.0]))
    0.01
    """
    return float(np.max(np.abs(expected - actual) / np.maximum(1.0, np.abs(expected)), initial=0.0))


def agreement(expected: np.ndarray, actual: np.ndarray, *, kind: TargetKind) -> float | None:
    """Returns the share of answers that two sets of predictions have in common; None for numbers.

    The answer of a classification, and of each pixel of a mask, is the most probable class; where two are equally
    probable there is no answer, and no agreement. The answer of each flag is whether it is set.

    >>> agreement(np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.5, 0.5]]), kind="classification")
    0.5
    """
    if kind == "regression":
        return None
    if kind == "multilabel":
        return float(np.mean((expected >= _FLAG_SET) == (actual >= _FLAG_SET)))
    is_clear = _has_one_highest(expected) & _has_one_highest(actual)
    return float(np.mean(is_clear & (expected.argmax(axis=-1) == actual.argmax(axis=-1))))


def agreements(expected: Any, actual: Any, *, targets: Sequence[Target]) -> dict[str, float]:
    """Returns the share of equal answers by target, without targets of numbers.

    Args:
        expected: What the checkpoint predicts: one by target, or one array of the lone target.
        actual: What a file predicts, likewise.
        targets: Of the task.
    """
    before, after = (
        values if isinstance(values, Mapping) else {targets[0].name: values} for values in (expected, actual)
    )
    shares = {
        target.name: agreement(np.asarray(before[target.name]), np.asarray(after[target.name]), kind=target.kind)
        for target in targets
    }
    return {name: share for name, share in shares.items() if share is not None}


def targets_of_numbers(task: Task) -> set[str]:
    """Returns the targets whose values are numbers of any size; "" as well where such a one is alone."""
    found = {target.name for target in task.targets if target.kind == "regression"}
    return found | {""} if len(found) == len(task.targets) == 1 else found


def check_quantised(  # noqa: PLR0913 - what a file predicts, what it should, and what is allowed
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    *,
    changes: Mapping[str, float],
    allowed: Answers,
    task: Task,
    what: str,
) -> None:
    """Raises ModelExportError if a quantised file loses more than it may, of a target's answers or of its first metric.

    Args:
        expected: What the checkpoint predicts, by target.
        actual: What the file predicts, by target.
        changes: The file's metrics less the checkpoint's.
        allowed: What the file may lose.
        task: The task.
        what: The file, for messages.
    """
    for target in task.targets:
        before, after, count = expected[target.name], actual[target.name], len(expected[target.name])
        place = f"{what} {target.name}"
        check_answers(before, after, kind=target.kind, allowed=allowed, num_images=count, what=place)
        for metric in _first_metrics(task, of=target.name):
            if metric in changes:
                check_drop(changes[metric], metric=metric, allowed=allowed, num_images=count, what=what)


def loses_more(changes: Mapping[str, float], *, most: float | None, task: Task) -> bool:
    """Returns whether the first metric of a target that is better when higher falls by more than a study accepts.

    Args:
        changes: A file's metrics less the checkpoint's.
        most: What the study accepts; None: it does not say.
        task: The task.
    """
    if most is None:
        return False
    return any(-changes.get(metric, 0.0) > most + _ROUNDING for metric in _first_metrics(task))


def check_answers(  # noqa: PLR0913 - what a file predicts, what it should, and what is allowed
    expected: np.ndarray, actual: np.ndarray, *, kind: TargetKind, allowed: Answers, num_images: int, what: str
) -> float:
    """Returns the share of answers, or of numbers the drift, that a quantised file has of its checkpoint's.

    >>> before, after = np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.7, 0.3]])
    >>> allowed = Answers(least_equal=0.95)
    >>> check_answers(before, after, kind="classification", allowed=allowed, num_images=2, what="model_int8.tflite")
    1.0

    Args:
        expected: What the checkpoint predicts.
        actual: What the file predicts.
        kind: Of the target.
        allowed: What the file may lose.
        num_images: How many images were predicted; the answer of one may always differ.
        what: The file and the output, for messages.

    Raises:
        ModelExportError: If shapes differ, anything is not finite, or the file loses more than allowed.
    """
    check_comparable(expected, actual, what=what)
    share = agreement(expected, actual, kind=kind)
    if share is None:
        found = drift(expected, actual)
        if found > allowed.most_drift:
            raise ModelExportError(
                f"{what}: its numbers differ from the checkpoint's by {found:.3g} of their standard deviation on "
                f"average, allowed is {allowed.most_drift:g}; {_REMEDY}"
            )
        return found
    # Not a share of few answers: floats of 1 - 1/n.
    if share < allowed.least_equal and (1 - share) * num_images > 1 + 1e-9:
        raise ModelExportError(
            f"{what}: gives the checkpoint's answer for {share:.1%} of the test images, allowed is "
            f"{allowed.least_equal:.0%} or more; {_REMEDY}"
        )
    return share


def drift(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns the mean difference between two arrays of numbers, a share of the standard deviation of the first.

    >>> round(drift(np.array([[1.0], [3.0]]), np.array([[1.1], [3.1]])), 6)
    0.1
    """
    spread = np.std(expected, axis=0)
    mean = np.mean(np.abs(expected - actual), axis=0)
    return float(np.max(np.where(mean == 0, 0.0, mean / np.maximum(spread, np.finfo(np.float32).tiny))))


def check_drop(change: float, *, metric: str, allowed: Answers, num_images: int, what: str) -> None:
    """Raises ModelExportError if a metric that is better when higher falls by more than allowed, and by one image.

    >>> check_drop(-0.01, metric="accuracy", allowed=Answers(least_equal=0.95), num_images=100, what="model_int8.onnx")

    Args:
        change: The file's metric less the checkpoint's.
        metric: Its name.
        allowed: What the file may lose.
        num_images: How many images were predicted.
        what: The file, for messages.
    """
    if -change > max(allowed.most_drop, 1 / num_images) + _ROUNDING:
        raise ModelExportError(
            f"{what}: its test {metric} is {-change:.3g} below the checkpoint's, allowed is {allowed.most_drop:g}; "
            f"{_REMEDY}"
        )


def _first_metrics(task: Task, *, of: str = "") -> Iterator[str]:
    """Yields the first metric of each target, or of one, where that is better when higher."""
    for target in task.targets:
        for own in target.metrics[:1]:
            if METRICS[target.kind].get(own) == "max" and of in ("", target.name):
                yield metric_name(target.name, own, num_targets=len(task.targets))


def _has_one_highest(values: np.ndarray) -> np.ndarray:
    is_highest: np.ndarray = values == values.max(axis=-1, keepdims=True)
    return is_highest.sum(axis=-1) == 1


def _named(given: Any) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else [("", given)]
