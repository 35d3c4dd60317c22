"""Checkpoints written beside the work: what is on disk when a report leaves, and what becomes of an early end."""

import errno
import threading
from dataclasses import replace

import numpy as np
import pytest

from trainables.checkpoints.checkpoint import Checkpoint, checkpoint_folder, load_checkpoint, saved_epochs
from trainables.checkpoints.writer import CheckpointWriter
from trainables.reports import EpochReport

VARIANT = "8ac95f5e3f6e"


def checkpoint_of(epoch, *, value=None):
    reports = [
        EpochReport(epoch=number, metrics={"val_loss": 0.5}, train_seconds=1, images_per_second=1)
        for number in range(1, epoch + 1)
    ]
    value = epoch if value is None else value
    return Checkpoint(variant_id=VARIANT, state={"model/0000": np.full(5, value, np.float32)}, history=reports)


def save(writer, epoch, *, keep=range(99), is_last=False):
    checkpoint = checkpoint_of(epoch)
    writer.begin(checkpoint.state, epoch=epoch)
    writer.finish(checkpoint, keep=keep, is_last=is_last)


def value_at(folder, epoch):
    loaded = load_checkpoint(checkpoint_folder(folder, epoch=epoch), variant_id=VARIANT)
    return set(loaded.state["model/0000"].flat)


def test_a_finished_checkpoint_is_on_disk_and_the_last_one_leaves_nothing_to_do(tmp_path):
    writer = CheckpointWriter(tmp_path)
    for epoch in (1, 2, 3, 4):
        save(writer, epoch, keep={1, epoch, epoch - 1}, is_last=epoch == 4)
        assert value_at(tmp_path, epoch) == {epoch}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0001", "epoch-0003", "epoch-0004"]


def test_arrays_that_validation_changed_are_written_again(tmp_path):
    writer = CheckpointWriter(tmp_path)
    writer.begin(checkpoint_of(1).state, epoch=1)
    writer.finish(checkpoint_of(1, value=77), keep={1}, is_last=True)
    assert value_at(tmp_path, 1) == {77}
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0001"]


def test_a_checkpoint_need_not_be_begun(tmp_path):
    CheckpointWriter(tmp_path).finish(checkpoint_of(1), keep={1}, is_last=True)
    assert value_at(tmp_path, 1) == {1}


def test_what_is_given_up_leaves_nothing(tmp_path):
    writer = CheckpointWriter(tmp_path)
    save(writer, 1)
    writer.begin(checkpoint_of(2).state, epoch=2)
    writer.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0001"]


def test_trouble_of_the_disk_comes_out_where_the_checkpoint_is_finished(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = CheckpointWriter(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("trainables.checkpoints.checkpoint.write_arrays", full)
        writer.begin(checkpoint_of(1).state, epoch=1)
        with pytest.raises(OSError, match="No space left"):
            writer.finish(checkpoint_of(1), keep={1}, is_last=False)
    assert list(tmp_path.iterdir()) == []
    save(writer, 1)
    assert saved_epochs(tmp_path) == [1]


def test_the_first_the_last_and_now_and_then_one_between_outlive_a_power_loss(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    now = [0.0]
    monkeypatch.setattr("trainables.checkpoints.writer.time.monotonic", lambda: now[0])
    writer, counts = CheckpointWriter(tmp_path), []
    for epoch, now[0] in enumerate((0.0, 1.0, 4.9, 5.0, 6.0, 7.0), start=1):
        synced.clear()
        save(writer, epoch, is_last=epoch == 6)
        counts.append(len(synced))
    # Arrays, reports, manifest, and the folder's names.
    assert counts == [4, 0, 0, 4, 0, 4]


def test_arrays_are_written_while_the_caller_goes_on(tmp_path, monkeypatch):
    from trainables.checkpoints import checkpoint

    may_write, write = threading.Event(), checkpoint.write_arrays

    def wait(*arguments, **options):
        assert may_write.wait(60)
        return write(*arguments, **options)

    monkeypatch.setattr(checkpoint, "write_arrays", wait)
    writer = CheckpointWriter(tmp_path)
    writer.begin(checkpoint_of(1).state, epoch=1)
    may_write.set()
    writer.finish(checkpoint_of(1), keep={1}, is_last=True)
    assert value_at(tmp_path, 1) == {1}


def test_small_states_are_not_worth_another_thread_and_large_ones_are(tmp_path):
    from trainables.checkpoints.writer import BESIDE_BYTES

    writer = CheckpointWriter(tmp_path)
    save(writer, 1)
    assert not writer.pays_to_begin
    large = replace(checkpoint_of(2), state={"model/0000": np.zeros(BESIDE_BYTES, np.uint8)})
    writer.finish(large, keep={2}, is_last=False)
    assert writer.pays_to_begin
