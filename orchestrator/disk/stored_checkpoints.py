"""The checkpoints that lie on disk, measured."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.disk.checkpoint_budget import StoredCheckpoint
from orchestrator.runs.paths import RunFolder
from trainables.checkpoints.checkpoint import checkpoint_folder, saved_epochs
from trainables.checkpoints.weights import reduced_epochs, weights_folder
from trainables.files.manifests import MANIFEST

#: The most that names and a manifest take, which stay beside the arrays of weights as the reports do.
_BESIDE_WEIGHTS_BYTES = 16_384


class StoredCheckpoints:
    """The checkpoints of each trial; the disk is read only for trials that may have changed.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._by_trial: dict[str, list[StoredCheckpoint]] = {}

    def of(self, trial: str, *, may_have_changed: bool) -> list[StoredCheckpoint]:
        """Returns the checkpoints of a trial.

        Args:
            trial: Its name.
            may_have_changed: Whether to read the disk anew; if not, the answer is that of the last call.
        """
        if may_have_changed:
            self._by_trial[trial] = list(self._on_disk(trial))
        return self._by_trial[trial]

    def _on_disk(self, name: str) -> Iterator[StoredCheckpoint]:
        trial = self._folder.checkpoints / name
        known = {(stored.epoch, stored.is_reduced): stored for stored in self._by_trial.get(name, ())}
        places = [(checkpoint_folder(trial, epoch=epoch), epoch, False) for epoch in saved_epochs(trial)]
        places += [(weights_folder(trial, epoch=epoch), epoch, True) for epoch in reduced_epochs(trial)]
        for place, epoch, is_reduced in places:
            measured = known.get((epoch, is_reduced)) or _measured(
                place, trial=name, epoch=epoch, is_reduced=is_reduced
            )
            if measured is not None:
                yield measured


def _measured(place: Path, *, trial: str, epoch: int, is_reduced: bool) -> StoredCheckpoint | None:
    """Returns the checkpoint in a folder; None if the folder has just vanished."""
    try:
        with os.scandir(place) as entries:
            size = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return None
    weights = None
    with suppress(OSError, ValueError, KeyError, TypeError):
        weights = int(json.loads((place / MANIFEST).read_bytes())["weights_bytes"])
    weights_size = size if is_reduced or weights is None else min(size, weights + _other_bytes(place))
    return StoredCheckpoint(
        trial=trial, epoch=epoch, is_reduced=is_reduced, size_bytes=size, weights_bytes=weights_size
    )


def _other_bytes(place: Path) -> int:
    history = place / "history.json"
    return history.stat().st_size + _BESIDE_WEIGHTS_BYTES if history.exists() else 0
