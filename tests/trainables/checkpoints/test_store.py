"""A trial's checkpoints elsewhere: what is told of them holds, whatever the storage does."""

import numpy as np
import pytest

from trainables.checkpoints.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    saved_epochs,
)
from trainables.checkpoints.store import CheckpointStore, sync_trial, upload_trial, whole_epochs
from trainables.errors import CheckpointError, RemoteError
from trainables.files.remote import RemoteFolder
from trainables.files.uploads import Uploader
from trainables.reports import EpochReport

VARIANT = "0123456789abcdef"


@pytest.fixture
def uri(tmp_path):
    return f"file://{tmp_path}/elsewhere/run"


@pytest.fixture
def there(uri):
    return RemoteFolder.open(uri).child("checkpoints").child("t0001")


@pytest.fixture
def store_in(uri, tmp_path):
    """Makes the store of a node, and the trial's folder there; it counts the seconds it waits."""

    def make(node):
        folder = tmp_path / node / "t0001"
        slept = []
        store = CheckpointStore(uri, trial="t0001", folder=folder, sleep=slept.append)
        return store, folder, slept

    return make


def save(folder, epoch, *, variant_id=VARIANT, value=0.0):
    report = {"metrics": {"val_loss": 1.0}, "train_seconds": 1.0, "images_per_second": 1.0}
    history = [EpochReport(epoch=number, **report) for number in range(1, epoch + 1)]
    state = {"weights": np.full(5, epoch + value)}
    save_checkpoint(folder, Checkpoint(variant_id=variant_id, state=state, history=history))


def train(store, folder, *, epochs, best=1):
    """Does what a trial does after every epoch."""
    for epoch in epochs:
        assert store.wait_for_uploads() == ""
        save(folder, epoch)
        keep = {best, epoch - 1, epoch}
        prune_checkpoints(folder, keep=keep)
        store.changed(keep=keep)
    assert store.wait_for_uploads() == ""


def test_checkpoints_elsewhere_are_those_here_once_a_trial_settled(store_in, there):
    store, folder, _ = store_in("node-a")
    for last in range(1, 7):
        train(store, folder, epochs=[last])
        assert whole_epochs(there.files()) == saved_epochs(folder)
    assert {name.split("/")[0] for name in there.files()} == {"epoch-0001", "epoch-0005", "epoch-0006"}


def test_another_node_goes_on_from_the_newest_and_loses_no_best(store_in, there):
    train(*store_in("node-a")[:2], epochs=range(1, 6))
    store, folder, _ = store_in("node-b")
    store.fetch(variant_id=VARIANT, is_needed=True)
    assert newest_checkpoint(folder, variant_id=VARIANT).epoch == 5
    train(store, folder, epochs=[6, 7])
    assert whole_epochs(there.files()) == [1, 6, 7]
    store.fetch_epoch(1, variant_id=VARIANT)
    assert load_checkpoint(checkpoint_folder(folder, epoch=1), variant_id=VARIANT).state["weights"][0] == 1


def test_checkpoint_here_is_not_replaced_by_one_that_is_no_newer(store_in):
    store, folder, _ = store_in("node-a")
    train(store, folder, epochs=[1, 2])
    save(folder, 2, value=0.5)
    store.fetch(variant_id=VARIANT, is_needed=True)
    assert newest_checkpoint(folder, variant_id=VARIANT).state["weights"][0] == 2.5


@pytest.mark.parametrize("name", ["state.safetensors", "history.json", "manifest.json"])
def test_damaged_checkpoint_elsewhere_is_passed_over(store_in, there, name):
    train(*store_in("node-a")[:2], epochs=[1, 2, 3])
    there.write(f"epoch-0003/{name}", b"damaged")
    store, folder, _ = store_in("node-b")
    store.fetch(variant_id=VARIANT, is_needed=True)
    assert saved_epochs(folder) == [2]
    with pytest.raises(CheckpointError, match="epoch-0003"):
        store.fetch_epoch(3, variant_id=VARIANT)
    assert saved_epochs(folder) == [2]


def test_checkpoint_that_is_half_elsewhere_counts_as_none(store_in, there):
    train(*store_in("node-a")[:2], epochs=[1, 2])
    there.delete("epoch-0002/manifest.json")
    store, folder, _ = store_in("node-b")
    store.fetch(variant_id=VARIANT, is_needed=True)
    assert saved_epochs(folder) == [1]


def test_checkpoint_of_another_variant_is_neither_fetched_nor_kept(store_in, there, tmp_path):
    other = tmp_path / "lost" / "t0001"
    save(other, 1, variant_id="another")
    upload_trial(there, other)
    store, folder, _ = store_in("node-a")
    store.fetch(variant_id=VARIANT, is_needed=False)
    assert saved_epochs(folder) == []
    train(store, folder, epochs=[1])
    fresh, fetched, _ = store_in("node-b")
    fresh.fetch(variant_id=VARIANT, is_needed=True)
    assert saved_epochs(fetched) == [1]


def test_names_that_leave_their_folder_are_not_brought_here(store_in, there, tmp_path, monkeypatch):
    train(*store_in("node-a")[:2], epochs=[1])
    from pyarrow import fs

    class Sly:
        def __init__(self, info):
            self.path, self.size, self.type, self.mtime_ns = f"{info.path}/../../../sly", 1, info.type, None

    listed = fs.LocalFileSystem().get_file_info(fs.FileSelector(str(tmp_path / "elsewhere"), recursive=True))
    sly = RemoteFolder(fs.LocalFileSystem(), str(tmp_path), uri="file:///x")
    monkeypatch.setattr(
        sly, "_filesystem", type("Fake", (), {"get_file_info": lambda _, _s: [Sly(i) for i in listed]})()
    )
    assert sly.files() == {}


def test_trial_with_reports_waits_for_a_storage_that_does_not_answer(store_in, monkeypatch):
    train(*store_in("node-a")[:2], epochs=[1, 2])
    store, folder, slept = store_in("node-b")
    answers = iter([RemoteError("s3://bucket: no answer")] * 3)
    real = CheckpointStore._remote_folder

    def sometimes(self):
        if (error := next(answers, None)) is not None:
            raise error
        return real(self)

    monkeypatch.setattr(CheckpointStore, "_remote_folder", sometimes)
    store.fetch(variant_id=VARIANT, is_needed=True)
    assert (saved_epochs(folder), len(slept)) == ([2], 3)


def test_trial_with_reports_does_not_begin_anew_because_the_storage_is_gone(store_in, monkeypatch):
    def refuse(self):
        raise RemoteError("s3://bucket: no answer")

    monkeypatch.setattr(CheckpointStore, "_remote_folder", refuse)
    store, folder, _ = store_in("node-a")
    with pytest.raises(OSError, match="t0001: its checkpoints cannot be fetched: s3://bucket: no answer"):
        store.fetch(variant_id=VARIANT, is_needed=True)
    store.fetch(variant_id=VARIANT, is_needed=False)
    save(folder, 1)
    store.fetch(variant_id=VARIANT, is_needed=True)  # what is here is enough


def test_upload_that_fails_is_tried_again_and_told_meanwhile():
    import threading

    may_go, tries = threading.Event(), []

    def work():
        tries.append(1)
        if len(tries) < 3:
            raise RemoteError("s3://bucket: 503")

    uploader = Uploader(sleep=lambda _: may_go.wait() and None)
    assert uploader.finish_uploads("t0001") == ""
    uploader.put("t0001", work)
    assert uploader.finish_uploads("t0001") == "s3://bucket: 503"
    assert uploader.finish_uploads("t0002") == ""
    may_go.set()
    uploader.put("t0002", lambda: None)
    while uploader.finish_uploads("t0002"):
        pass
    assert uploader.finish_uploads("t0001") == ""
    assert len(tries) == 3


def test_checkpoint_trained_again_replaces_the_one_elsewhere(store_in, there):
    store, folder, _ = store_in("node-a")
    train(store, folder, epochs=[1, 2])
    save(folder, 2, value=0.5)
    sync_trial(there, folder, keep=frozenset())
    fresh, fetched, _ = store_in("node-b")
    fresh.fetch(variant_id=VARIANT, is_needed=True)
    assert newest_checkpoint(fetched, variant_id=VARIANT).state["weights"][0] == 2.5


def test_worker_of_a_driver_that_is_gone_removes_nothing_newer(store_in, there):
    gone, _, _ = store_in("node-a")
    train(gone, store_in("node-a")[1], epochs=[1, 2, 3])
    store, folder, _ = store_in("node-b")
    store.fetch(variant_id=VARIANT, is_needed=True)
    train(store, folder, epochs=[4, 5])
    gone.changed(keep={1, 2, 3})
    assert gone.wait_for_uploads() == ""
    assert {4, 5} <= set(whole_epochs(there.files()))


def test_nothing_happens_without_a_place_elsewhere(tmp_path):
    store = CheckpointStore(None, trial="t0001", folder=tmp_path / "t0001")
    store.fetch(variant_id=VARIANT, is_needed=True)
    store.fetch_epoch(1, variant_id=VARIANT)
    save(tmp_path / "t0001", 1)
    store.changed(keep={1})
    assert store.wait_for_uploads() == ""
    assert [path.name for path in (tmp_path / "t0001").iterdir()] == ["epoch-0001"]
