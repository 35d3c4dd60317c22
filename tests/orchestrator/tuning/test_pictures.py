"""The picture of augmentation of a node that does not share the run folder comes with a report."""

from typing import Any

import open_journals
import pytest
from open_journals import WORKER

from orchestrator.tuning.listener import TuneListener


def result(epoch: int) -> dict[str, Any]:
    metrics = {"val_accuracy": 0.5}
    report = {"epoch": epoch, "metrics": metrics, "train_seconds": 1.0, "images_per_second": 1.0, "is_last": False}
    return {"trial": "t0000", "worker": WORKER, **metrics, "epoch": epoch, "report": report, "done": False}


def test_the_first_picture_of_a_node_without_the_run_folder_is_kept(rig: open_journals.Rig) -> None:
    listener = TuneListener(rig.recorder)
    listener("tune-1", result(1) | {"picture": b"first"})
    listener("tune-1", result(2) | {"picture": b"second"})
    assert rig.folder.augmented.read_bytes() == b"first"
    assert rig.recorder.trial("t0000").epoch == 2


def test_a_picture_that_cannot_be_written_ends_no_study(
    rig: open_journals.Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = TuneListener(rig.recorder)

    def refuse(path: object, content: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("orchestrator.tuning.listener.write_whole", refuse)
    listener("tune-1", result(1) | {"picture": b"first"})
    assert rig.recorder.trial("t0000").epoch == 1
