"""Downloads ImageNet weights through Keras before any trial begins, in a process of its own."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from trainables.catalog.backbones import PretrainedBackbone
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress


def fetch_in_process(backbones: Sequence[PretrainedBackbone], *, on_progress: OnProgress | None = None) -> None:
    """Downloads all weights that this machine lacks, into Keras's own cache.

    Raises:
        DataError: Weights can neither be found nor fetched; the message says what to do.
    """
    if not backbones:
        return
    ask_child(
        "trainables.worker.fetch_weights",
        {"backbones": [asdict(backbone) for backbone in backbones]},
        what="weights: the process that fetches pretrained weights",
        on_progress=on_progress or no_progress,
    )


def main() -> int:
    """Answers one request of `fetch_in_process`."""
    return answer_caller(_fetch)


def _fetch(request: Any, progress: OnProgress) -> None:
    # Late, because it imports TensorFlow.
    from trainables.families.transfer import make_backbone

    backbones = [PretrainedBackbone(**item) for item in request["backbones"]]
    for number, backbone in enumerate(backbones):
        progress(f"fetching pretrained weights of {backbone.name}", number, len(backbones))
        make_backbone(backbone.name, size=(backbone.side, backbone.side), alpha=backbone.alpha, imagenet=True)


if __name__ == "__main__":
    sys.exit(main())
