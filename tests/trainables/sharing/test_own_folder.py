"""A worker whose node does not find the driver's mark keeps what it writes apart; no folder of another run passes."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainables.checkpoints.fence import is_superseded
from trainables.errors import DataError
from trainables.sharing.marks import answer_mark, has_answer, remove_mark, sees_mark, write_mark
from trainables.sharing.own_folder import demand_run_folder, own_picture, shares_run_folder, worker_on_this_node
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec


@pytest.fixture
def worker(tmp_path: Path) -> WorkerSpec:
    """What a driver sends whose run folder is `run`, with its mark."""
    unused: Any = object()
    run = tmp_path / "run"
    return WorkerSpec(
        dataset=unused,
        data=DataSpec(source="digits", cache_dir=str(tmp_path / "cache")),
        split_seed=0,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"),
        device=DeviceSpec(),
        checkpoints=str(run / "checkpoints"),
        picture=str(run / "augmented.png"),
        session=2,
        remote="s3://bucket/runs/run",
        mark=write_mark(run / "checkpoints"),
        run_id="0123",
    )


def elsewhere(worker: WorkerSpec) -> WorkerSpec:
    """Returns the same as a node finds it whose folder at that path is a copy, without the mark."""
    remove_mark(worker.mark)
    return worker


def test_a_node_that_finds_the_mark_works_in_the_run_folder(worker):
    assert shares_run_folder(worker)
    assert worker_on_this_node(worker) is worker
    assert worker_on_this_node(replace(worker, mark="")).checkpoints == worker.checkpoints
    demand_run_folder(replace(worker, remote=None))


def test_a_node_without_the_mark_has_a_folder_of_the_runs_own_and_never_that_of_another_run(worker, tmp_path):
    own, other = (worker_on_this_node(replace(elsewhere(worker), run_id=name)) for name in ("0123", "4567"))
    assert own.checkpoints == str(tmp_path / "cache/.runs/0123/checkpoints")
    assert other.checkpoints == str(tmp_path / "cache/.runs/4567/checkpoints")
    assert own.picture == str(tmp_path / "cache/.runs/0123/augmented.png")
    demand_run_folder(own)
    # A worker that an earlier driver has left on the node ends itself, and takes nothing back.
    assert is_superseded(Path(own.checkpoints), session=1)
    worker_on_this_node(replace(worker, session=1))
    assert is_superseded(Path(own.checkpoints), session=1)
    worker_on_this_node(worker)
    assert is_superseded(Path(own.checkpoints), session=1)
    assert not is_superseded(Path(own.checkpoints), session=2)


def test_a_node_without_the_mark_and_a_study_without_a_storage_are_refused(worker, monkeypatch):
    monkeypatch.setattr("trainables.sharing.own_folder._LOOK_SECONDS", 0.0)
    alone = replace(elsewhere(worker), remote=None)
    assert worker_on_this_node(alone) is alone
    with pytest.raises(
        DataError, match=r"files: node .+ does not share the run folder .+run, so what it trains would be lost"
    ):
        demand_run_folder(alone)


def test_a_folder_that_may_only_be_read_is_not_shared(worker, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not shares_run_folder(worker)


def test_a_picture_is_handed_on_once_there_is_one(worker, tmp_path):
    own = worker_on_this_node(elsewhere(worker))
    assert own_picture(own) == b""
    Path(own.picture or "").write_bytes(b"png")
    assert own_picture(own) == b"png"
    assert own_picture(replace(own, picture=None)) == b""


def test_marks_of_two_sessions_are_two_and_answers_go_with_them(tmp_path):
    first = write_mark(tmp_path)
    assert sees_mark(first)
    assert not answer_mark(first, name="n1")
    assert has_answer(first, name="n1")
    assert not has_answer(first, name="n2")
    second = write_mark(tmp_path)
    assert not sees_mark(first)
    assert sees_mark(second)
    remove_mark(second)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert answer_mark(str(tmp_path / "file/mark"), name="n1") == "File exists"


def test_a_mark_that_comes_late_is_found(tmp_path, monkeypatch):
    mark = write_mark(tmp_path)
    hidden = Path(mark).rename(tmp_path / "hidden")
    looked = []

    def appear(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 2:
            hidden.rename(mark)

    monkeypatch.setattr("time.sleep", appear)
    assert not sees_mark(mark)
    assert sees_mark(mark, wait_seconds=60)
    assert len(looked) == 2
