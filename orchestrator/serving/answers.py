"""What a model predicts for one picture, in the words of its targets."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.serving.batches import NamedArrays
from orchestrator.serving.described import DescribedOutput, DescribedVersion


def picture_answer(outputs: NamedArrays, *, described: DescribedVersion) -> dict[str, Any]:
    """Returns the answer for one picture: which version gave it, and one object for each target.

    Args:
        outputs: By output name, for one picture.
        described: The model.
    """
    return {
        "model_name": described.version.name,
        "model_version": str(described.version.version),
        "targets": {named.target: _answer(outputs[named.name][0], named) for named in described.outputs},
    }


def _answer(values: np.ndarray, named: DescribedOutput) -> Mapping[str, Any]:
    match named.kind:
        case "classification":
            place = int(values.argmax())
            return {
                "class": named.class_names[place],
                "probability": float(values[place]),
                "probabilities": _by_name(values, named),
            }
        case "multilabel":
            flags = _by_name(values, named)
            return {"flags": [name for name, value in flags.items() if value >= 0.5], "probabilities": flags}
        case "mask":
            # The class of each pixel, by its place in class_names.
            return {"class_names": list(named.class_names), "classes": values.argmax(axis=-1).tolist()}
    return {"values": values.reshape(-1).tolist()}


def _by_name(values: np.ndarray, named: DescribedOutput) -> dict[str, float]:
    return dict(zip(named.class_names, values.reshape(-1).tolist(), strict=True))
