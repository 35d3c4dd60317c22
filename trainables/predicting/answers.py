"""What a model's numbers say of one image, in names: classes with probabilities, flags, values, shares of pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainables.data.images.images import Array
from trainables.scores.tallies import FLAG_SET
from trainables.specs.task import Target, Task


def answers_of(outputs: Mapping[str, Array], *, task: Task, top: int) -> dict[str, Any]:
    """Returns the answer for one image: that of a lone target, or `targets` with one for each.

    >>> task = Task.classification(input_shape=(8, 8, 1), num_classes=2)
    >>> answers_of({"label": np.array([0.25, 0.75])}, task=task, top=1)
    {'class': '1', 'probability': 0.75, 'top': [{'class': '1', 'probability': 0.75}]}

    Args:
        outputs: Those of one image, by target.
        task: The task.
        top: How many classes or flags are named, the most probable first.
    """
    answers = {target.name: _answer(outputs[target.name], target, top=top) for target in task.targets}
    return answers[task.targets[0].name] if task.has_one_target else {"targets": answers}


def class_map(output: Array) -> Array:
    """Returns the most probable class of each pixel, uint8 (height, width).

    Args:
        output: Of a target of masks, for one image.
    """
    return output.argmax(axis=-1).astype(np.uint8)


def _answer(output: Array, target: Target, *, top: int) -> dict[str, Any]:
    match target.kind:
        case "classification":
            found = _top(output, target, top=top)
            return {**found[0], "top": found}
        case "multilabel":
            flags = [name for name, value in zip(target.class_names, output.tolist(), strict=True) if value >= FLAG_SET]
            return {"flags": flags, "top": _top(output, target, top=top)}
        case "regression":
            return {"values": [float(value) for value in output]}
        case "mask":
            shares = np.bincount(class_map(output).reshape(-1), minlength=target.size) / max(1, output[..., 0].size)
            found = [
                {"class": name, "share": share} for name, share in zip(target.class_names, shares.tolist(), strict=True)
            ]
            return {"pixels": [item for item in found if item["share"]]}


def _top(output: Array, target: Target, *, top: int) -> list[dict[str, Any]]:
    # Among equally probable ones the first, as the metrics count it.
    order = np.argsort(-output, kind="stable")[: max(1, top)]
    return [{"class": target.class_names[at], "probability": float(output[at])} for at in order.tolist()]
