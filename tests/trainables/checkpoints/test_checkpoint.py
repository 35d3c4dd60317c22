"""Checkpoints: whole or not at all, every byte verified, never unpickled."""

import errno
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from trainables.checkpoints.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    saved_epochs,
)
from trainables.errors import CheckpointError
from trainables.files.manifests import fingerprint_of
from trainables.reports import EpochReport

VARIANT = "8ac95f5e3f6e"
FILES = ("state.safetensors", "history.json", "manifest.json")
#: Events of Python's audit hooks that change what is on disk.
FILE_ACTIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
#: A folder that hypothesis shares between its examples is fine: each example leaves it as it was, or overwrites it.
SHARED_FOLDER = [HealthCheck.function_scoped_fixture]

dtypes = st.sampled_from([np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.uint32)])
states = st.dictionaries(
    st.from_regex(r"(model|optimizer)/[0-9]{4}", fullmatch=True),
    dtypes.flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, max_side=3))),
    max_size=4,
)


def history_of(epochs):
    return [
        EpochReport(
            epoch=epoch,
            metrics={"val_accuracy": epoch / 7, "loss": 1 / 3},
            train_seconds=0.1,
            images_per_second=1000.5,
            overhead_seconds={"build": 0.25},
            is_last=epoch == 9,
        )
        for epoch in range(1, epochs + 1)
    ]


def checkpoint_of(epochs, *, state=None, variant_id=VARIANT):
    state = {"model/0000": np.full((2, 2), epochs, np.float32)} if state is None else state
    return Checkpoint(variant_id=variant_id, state=state, history=history_of(epochs))


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


@given(state=states, epochs=st.integers(1, 12))
@settings(deadline=None, max_examples=50, suppress_health_check=SHARED_FOLDER)
def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path, state, epochs):
    folder = save_checkpoint(tmp_path, checkpoint_of(epochs, state=state))
    loaded = load_checkpoint(folder, variant_id=VARIANT)
    assert folder == checkpoint_folder(tmp_path, epoch=epochs)
    assert (loaded.variant_id, loaded.epoch, loaded.history) == (VARIANT, epochs, history_of(epochs))
    assert loaded.state.keys() == state.keys()
    for name, array in state.items():
        assert loaded.state[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.state[name], array)


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """A trial's folder with checkpoints of epochs 1 and 2, both valid, not to be changed."""
    trial = tmp_path_factory.mktemp("trial")
    for epochs in (1, 2):
        save_checkpoint(trial, checkpoint_of(epochs))
    return trial


@pytest.fixture
def trial(two_epochs, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(two_epochs, tmp_path / "t0001")


@given(file=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=200, suppress_health_check=SHARED_FOLDER)
def test_any_flipped_bit_is_found_and_the_checkpoint_before_is_taken(trial, file, place, bit):
    path = checkpoint_folder(trial, epoch=2) / file
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[int(place * len(broken))] ^= 1 << bit
    path.write_bytes(broken)
    try:
        with pytest.raises(CheckpointError):
            load_checkpoint(path.parent, variant_id=VARIANT)
        fallback = newest_checkpoint(trial, variant_id=VARIANT)
        assert fallback is not None
        assert fallback.epoch == 1
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("file", FILES)
def test_every_bit_of_every_byte_counts(trial, file):
    path = checkpoint_folder(trial, epoch=2) / file
    whole = path.read_bytes()
    for position in range(len(whole)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ change]) + whole[position + 1 :])
            with pytest.raises(CheckpointError):
                load_checkpoint(path.parent, variant_id=VARIANT)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "folder"])
def test_a_torn_or_missing_file_is_told_and_passed_over(trial, file, damage):
    path = checkpoint_folder(trial, epoch=2) / file
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="epoch-0002"):
        load_checkpoint(path.parent, variant_id=VARIANT)
    assert newest_checkpoint(trial, variant_id=VARIANT).epoch == 1


@pytest.mark.parametrize("manifest", ["[]", "3", "null", '{"schema": 2}', '{"schema": 2, "variant_id": 1, "files": 2}'])
def test_a_manifest_of_another_shape_is_a_damaged_checkpoint(trial, manifest):
    folder = checkpoint_folder(trial, epoch=2)
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(CheckpointError):
        load_checkpoint(folder, variant_id=VARIANT)


def test_without_any_valid_checkpoint_there_is_none(trial):
    for epoch in (1, 2):
        (checkpoint_folder(trial, epoch=epoch) / "manifest.json").unlink()
    assert newest_checkpoint(trial, variant_id=VARIANT) is None
    assert newest_checkpoint(trial / "nowhere", variant_id=VARIANT) is None


@pytest.fixture
def killed_at():
    """Runs something in a process of its own that is killed before so many of its actions on files, if there are."""

    def run(work, *, action):
        with warnings.catch_warnings():
            # Other tests' threads do not matter to this child.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            left = itertools.count(action, -1)

            def die(event, arguments):
                if event in FILE_ACTIONS and next(left) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(die)
            work()
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    return run


@pytest.mark.parametrize("epoch", [2, 3], ids=["replacing one", "a new one"])
def test_a_save_killed_anywhere_leaves_what_was_there_or_what_is_new(trial, tmp_path, killed_at, epoch):
    again = checkpoint_of(epoch, state={"model/0000": np.full(3, 77, np.float32)})
    for action in itertools.count():
        folder = shutil.copytree(trial, tmp_path / f"kill-{action}")
        is_killed = killed_at(lambda folder=folder: save_checkpoint(folder, again), action=action)
        told = {}
        newest = newest_checkpoint(folder, variant_id=VARIANT, on_invalid=told.__setitem__)
        assert told == {}
        values = set(newest.state["model/0000"].flat)
        assert (newest.epoch, values) in [(2, {2}), (epoch, {77})]
        assert is_killed or values == {77}
        save_checkpoint(folder, again)
        assert {path.name for path in folder.iterdir()} == {"epoch-0001", "epoch-0002", f"epoch-{epoch:04d}"}
        assert set(newest_checkpoint(folder, variant_id=VARIANT).state["model/0000"].flat) == {77}
        if not is_killed:
            break
    assert action > 5, "hardly anything was killed"


def test_pruning_killed_anywhere_leaves_whole_checkpoints_only(trial, tmp_path, killed_at):
    for action in itertools.count():
        folder = shutil.copytree(trial, tmp_path / f"kill-{action}")
        is_killed = killed_at(lambda folder=folder: prune_checkpoints(folder, keep={2}), action=action)
        for epoch in saved_epochs(folder):
            assert load_checkpoint(checkpoint_folder(folder, epoch=epoch), variant_id=VARIANT).epoch == epoch
        save_checkpoint(folder, checkpoint_of(3))
        assert not list(folder.glob(".*"))
        if not is_killed:
            break
    assert action > 2


def test_a_disk_that_fills_up_leaves_no_draft(trial, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("write_arrays", "write_new", "put_in_place"):
        with monkeypatch.context() as patch:
            patch.setattr(f"trainables.checkpoints.checkpoint.{name}", full)
            with pytest.raises(OSError, match="No space left"):
                save_checkpoint(trial, checkpoint_of(3))
        assert sorted(path.name for path in trial.iterdir()) == ["epoch-0001", "epoch-0002"]


def test_drafts_of_others_who_live_stay_and_those_of_the_dead_go(trial):
    from trainables.files.folders import STRANGER_SECONDS

    process = subprocess.Popen(["true"])
    process.wait()
    host, dead = socket.gethostname(), process.pid
    names = {
        f".epoch-0009@{host}.{os.getppid()}.0.tmp": True,
        f".epoch-0009@{host}.{dead}.0.tmp": False,
        f".epoch-0009@{host}.{os.getpid()}.999999.tmp": False,
        ".epoch-0009@elsewhere.1.0.tmp": True,
        ".epoch-0008@elsewhere.1.0.tmp": False,
        ".epoch-0009.tmp": False,
    }
    for name in names:
        (trial / name).mkdir()
    long_ago = time.time() - 2 * STRANGER_SECONDS
    os.utime(trial / ".epoch-0008@elsewhere.1.0.tmp", (long_ago, long_ago))
    save_checkpoint(trial, checkpoint_of(3))
    assert {path.name for path in trial.glob(".*")} == {name for name, stays in names.items() if stays}


def test_saving_an_epoch_again_replaces_it(trial):
    again = checkpoint_of(2, state={"model/0000": np.full(3, 77)})
    save_checkpoint(trial, again)
    np.testing.assert_array_equal(newest_checkpoint(trial, variant_id=VARIANT).state["model/0000"], [77] * 3)


@given(epochs=st.sets(st.integers(1, 12), max_size=6), keep=st.sets(st.integers(0, 14), max_size=6))
@settings(deadline=None, max_examples=30)
def test_pruning_keeps_what_is_asked_and_what_is_newer_and_nothing_else(tmp_path_factory, epochs, keep):
    trial = tmp_path_factory.mktemp("pruned")
    for epoch in epochs:
        save_checkpoint(trial, checkpoint_of(epoch))
    (trial / "notes.txt").write_text("not a checkpoint")
    prune_checkpoints(trial, keep=iter(keep))
    # A newer one is of another worker.
    newer = {epoch for epoch in epochs if epoch > max(keep, default=0)}
    assert saved_epochs(trial) == sorted(epochs & keep | newer)
    assert (trial / "notes.txt").exists()


def test_epochs_are_ordered_as_numbers_and_strangers_passed_over(tmp_path):
    for name in ("epoch-10000", "epoch-0002", "epoch-9999", "epoch-best", ".epoch-0099.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "epoch-0005").write_text("a file")
    assert saved_epochs(tmp_path) == [2, 9999, 10000]


class Bomb:
    """Would make a file when unpickled."""

    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_a_pickle_in_the_state_is_refused_and_never_run(trial, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = checkpoint_folder(trial, epoch=2)
    np.save(folder / "pickle", np.array([Bomb()], dtype=object))
    content = (folder / "pickle.npy").read_bytes()
    (folder / "state.safetensors").write_bytes(content)
    # Even where the manifest vouches for it.
    manifest = manifest_of(folder)
    manifest["files"]["state.safetensors"] = fingerprint_of(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="epoch-0002: is damaged"):
        load_checkpoint(folder, variant_id=VARIANT)
    assert not (tmp_path / "exploded").exists()
    assert newest_checkpoint(trial, variant_id=VARIANT).epoch == 1


def test_a_pickle_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="model/0000: arrays of object cannot be saved"):
        save_checkpoint(tmp_path, checkpoint_of(1, state={"model/0000": np.array([Bomb()], dtype=object)}))
    assert saved_epochs(tmp_path) == []


def test_the_checkpoint_of_another_variant_is_refused(trial):
    with pytest.raises(CheckpointError, match=f"belongs to variant {VARIANT}, expected 000000000000"):
        load_checkpoint(checkpoint_folder(trial, epoch=2), variant_id="0" * 12)
    assert newest_checkpoint(trial, variant_id="0" * 12) is None


def test_an_unknown_schema_is_refused_in_words(trial):
    folder = checkpoint_folder(trial, epoch=2)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | {"schema": 3}))
    with pytest.raises(CheckpointError, match="schema 3 is not known, expected 2"):
        load_checkpoint(folder, variant_id=VARIANT)


def test_a_manifest_that_names_another_epoch_is_refused(trial):
    folder = checkpoint_folder(trial, epoch=2)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | {"epoch": 1}))
    with pytest.raises(CheckpointError, match="says epoch 1, but its history has 2"):
        load_checkpoint(folder, variant_id=VARIANT)
