"""One trial's checkpoint becomes another trial's beginning, whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from trainables.checkpoints.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    discard_checkpoint,
    load_checkpoint,
    save_checkpoint,
    saved_epochs,
)
from trainables.checkpoints.inheriting import inherit_checkpoint
from trainables.errors import CheckpointError
from trainables.reports import EpochReport

STATE = {"model/0000": np.arange(6, dtype=np.float32), "optimizer/0000": np.float32([0.5])}


def report(epoch: int) -> EpochReport:
    return EpochReport(epoch=epoch, metrics={"val_accuracy": epoch / 10}, train_seconds=1.0, images_per_second=9.0)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The folder of a trial of variant `parent` with the checkpoints of epochs 2 and 4."""
    for epoch in (2, 4):
        history = [report(number) for number in range(1, epoch + 1)]
        checkpoint = Checkpoint(variant_id="parent", state=STATE, history=history, num_micro_batches=2)
        save_checkpoint(tmp_path / "t0003", checkpoint, is_durable=False)
    return tmp_path / "t0003"


def inherit(parent: Path, *, epoch: int = 2) -> Path:
    heir = parent.parent / "t0012"
    inherit_checkpoint(
        parent, epoch=epoch, variant_id="parent", heir_folder=heir, heir_id="child", changed=["learning_rate"]
    )
    return heir


def test_checkpoint_is_the_same_but_of_another_variant_and_says_what_changed(parent: Path) -> None:
    heir = inherit(parent)
    assert saved_epochs(heir) == [2]
    checkpoint = load_checkpoint(checkpoint_folder(heir, epoch=2), variant_id="child")
    assert checkpoint.changed == ["learning_rate"]
    assert checkpoint.num_micro_batches == 2
    assert checkpoint.history == [report(1), report(2)]
    assert {name: array.tolist() for name, array in checkpoint.state.items()} == {
        name: array.tolist() for name, array in STATE.items()
    }


def test_parents_checkpoint_stays_its_own_and_outlives_neither(parent: Path) -> None:
    heir = inherit(parent)
    own = load_checkpoint(checkpoint_folder(parent, epoch=2), variant_id="parent")
    assert list(own.changed) == []
    discard_checkpoint(parent, epoch=2)
    assert load_checkpoint(checkpoint_folder(heir, epoch=2), variant_id="child").epoch == 2
    with pytest.raises(CheckpointError, match="belongs to variant child, expected parent"):
        load_checkpoint(checkpoint_folder(heir, epoch=2), variant_id="parent")


@pytest.mark.parametrize("damage", ["flipped bit", "cut manifest", "missing", "other variant"])
def test_what_is_damaged_is_refused_and_leaves_nothing(parent: Path, damage: str) -> None:
    place = checkpoint_folder(parent, epoch=2)
    if damage == "flipped bit":
        content = bytearray((place / "state.safetensors").read_bytes())
        content[-1] ^= 1
        (place / "state.safetensors").write_bytes(content)
    elif damage == "cut manifest":
        (place / "manifest.json").write_bytes((place / "manifest.json").read_bytes()[:20])
    elif damage == "missing":
        discard_checkpoint(parent, epoch=2)
    else:
        text = (place / "manifest.json").read_text().replace("parent", "another")
        (place / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"is damaged|is missing|belongs to variant another"):
        inherit(parent)
    assert not (parent.parent / "t0012").exists()


def test_what_a_killed_driver_left_in_the_folder_is_replaced(parent: Path) -> None:
    heir = inherit(parent, epoch=4)
    (heir / ".epoch-0002@host.1.0.tmp").mkdir()
    assert inherit(parent) == heir
    assert [path.name for path in heir.iterdir()] == ["epoch-0002"]


def test_file_system_without_links_gets_a_copy(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    state = checkpoint_folder(inherit(parent), epoch=2) / "state.safetensors"
    assert state.stat().st_nlink == 1
    assert load_checkpoint(state.parent, variant_id="child").epoch == 2
