"""What a card says of a study's data."""

from collections.abc import Mapping
from typing import Any

from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo


def card_data(dataset: DatasetInfo, spec: DataSpec, *, seed: int) -> dict[str, Any]:
    """Returns the facts of a data set, the images of each class and those that splits share.

    Args:
        dataset: The study's.
        spec: The data section.
        seed: Of the splits.
    """
    look: Mapping[str, Any] = dataset.look
    carved = look.get("carved", [])
    facts: dict[str, object] = {"source": spec.source}
    facts |= {} if spec.limit is None else {"limit": spec.limit}
    facts["splits carved out of the training images"] = ", ".join(carved) or "none"
    facts |= {"seed of the splits": seed} if carved else {}
    facts |= {"groups kept together by": spec.group} if spec.group else {}
    facts |= {"ordered by": spec.order} if spec.order else {}
    return {
        "facts": facts,
        "members": [target for target in look.get("targets", ()) if "members" in target],
        "shared": [pair for pair in look.get("shared", ()) if pair["images"]],
    }
