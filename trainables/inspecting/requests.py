"""What the driver asks the process that inspects models, and the question itself; no TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from search_spaces import Variant
from trainables.machine.child_process import ask_child
from trainables.progress import OnProgress, no_progress
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import OwnCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A trial's model, as it is built and restored.

    Attributes:
        trial: The trial's name.
        variant: What the trial trained.
        dataset: The data that it was trained on.
        own: Where the study's own code lies.
        folder: The trial's checkpoints.
        epoch: The epoch whose weights count; 0: none is kept.
        owner: What the trial's checkpoints say that they are of.
    """

    trial: str
    variant: Variant
    dataset: DatasetInfo
    own: OwnCode
    folder: str
    epoch: int = 0
    owner: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return {
            "trial": self.trial,
            "variant": self.variant.to_json(),
            "dataset": self.dataset.to_json(),
            "own": asdict(self.own),
            "folder": self.folder,
            "epoch": self.epoch,
            "owner": self.owner,
        }

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "ModelRequest":
        """Returns the request that `to_json` described."""
        read = {
            "variant": Variant.from_json(mapping["variant"]),
            "dataset": DatasetInfo.from_json(mapping["dataset"]),
            "own": OwnCode(**mapping["own"]),
        }
        return cls(**{**mapping, **read})


def ask_about_models(
    models: Sequence[ModelRequest], *, split: str = "", on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Returns what a child process finds out about models: their layers, and where the first two err.

    Of each model `layers` has `rows` or a `problem`; `answers` has a list, one entry a target, or a `problem`.

    Args:
        models: One or more.
        split: The split whose images the first two models answer, `validation` or `test`; empty: none does.
        on_progress: Takes what the process is at.

    Raises:
        DataError: The process failed.
    """
    answer = ask_child(
        "trainables.inspecting.in_process",
        {"models": [model.to_json() for model in models], "split": split},
        what="models: the process that builds them",
        on_progress=on_progress or no_progress,
    )
    return dict(answer)
