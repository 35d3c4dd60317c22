"""What a worker makes reaches the run folder whole, in bounded pieces, checked by its hashes, or an error says why."""

import json
from pathlib import Path

import pytest

from orchestrator.cluster.processes import LostProcessError
from orchestrator.sharing import bringing, handing
from orchestrator.sharing.bringing import brought
from orchestrator.sharing.handing import made_for
from trainables.errors import ModelExportError
from trainables.files.manifests import MANIFEST, damage_of, fingerprints, sealed
from trainables.sharing.marks import write_mark
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec


@pytest.fixture
def worker(tmp_path):
    """What a driver sends to a node that does not find its mark."""
    return WorkerSpec(
        dataset=object(),
        data=DataSpec(source="digits", cache_dir=str(tmp_path / "node")),
        split_seed=0,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"),
        device=DeviceSpec(),
        checkpoints="/nowhere/checkpoints",
        remote="s3://bucket/runs/run",
        mark="/nowhere/checkpoints/.nodes/0123",
        run_id="run",
    )


def write_export(folder, worker):
    """Writes an export as workers do: files, folders, an empty one among them, and a manifest."""
    path = Path(folder)
    (path / "saved_model/assets").mkdir(parents=True)
    (path / "model.keras").write_bytes(bytes(range(256)) * 10)
    (path / "saved_model/saved_model.pb").write_bytes(b"graph")
    (path / "empty").write_bytes(b"")
    (path / MANIFEST).write_text(json.dumps(sealed({"files": fingerprints(path)})))
    return f"made with {worker.checkpoints}"


class Node:
    """The node of a worker, whose process answers at once.

    Args:
        breaks_at: The number of the piece with which it is lost.
    """

    def __init__(self, breaks_at=None):
        self.asked, self._breaks_at = [], breaks_at

    def ask(self, function, request):
        yield None
        self.asked.append((function.__name__, request))
        if len(self.asked) == self._breaks_at:
            raise LostProcessError("the node is gone")
        return function(request)


def end_of(generator):
    """Returns what a generator returns."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


def left_on(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_files_of_a_node_come_in_pieces_and_are_whole_and_leave_nothing_there(tmp_path, worker, monkeypatch):
    for module in (handing, bringing):
        monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    target, node = tmp_path / "run/exports/1-t0001", Node()
    made = made_for(str(target), worker=worker, make=write_export)
    assert not target.exists()
    assert left_on(tmp_path / "node")
    assert end_of(brought(made, node.ask)) == f"made with {tmp_path}/node/.runs/run/checkpoints"
    assert damage_of(target) == ""
    assert (target / "model.keras").read_bytes() == bytes(range(256)) * 10
    assert (target / "saved_model/assets").is_dir()
    assert (target / "empty").read_bytes() == b""
    assert {path.stat().st_mode & 0o077 for path in target.rglob("*")} == {0}
    pieces = [piece for name, piece in node.asked if name == "read_piece" and piece.path.endswith("model.keras")]
    assert [piece.offset for piece in pieces] == [0, 1000, 2000]
    assert {piece.num_bytes for piece in pieces} == {1000}
    assert left_on(tmp_path / "node") == []
    assert [path.name for path in target.parent.iterdir()] == ["1-t0001"]


def test_a_node_that_is_lost_on_the_way_leaves_the_old_export_as_it_was(tmp_path, worker):
    target = tmp_path / "run/exports/1-t0001"
    write_export(target, worker)
    (target / "model.keras").write_bytes(b"old")
    made = made_for(str(target), worker=worker, make=write_export)
    with pytest.raises(LostProcessError):
        end_of(brought(made, Node(breaks_at=2).ask))
    assert (target / "model.keras").read_bytes() == b"old"
    assert [path.name for path in target.parent.iterdir()] == ["1-t0001"]


def test_files_that_change_on_the_way_are_refused(tmp_path, worker):
    target, node = tmp_path / "run/exports/1-t0001", Node()
    made = made_for(str(target), worker=worker, make=write_export)
    (Path(made.source) / "model.keras").write_bytes(bytes(2560))
    with pytest.raises(ModelExportError, match=r"1-t0001: did not come whole from node .+model.keras is not as it was"):
        end_of(brought(made, node.ask))
    assert list(target.parent.iterdir()) == []


def test_what_cannot_be_made_leaves_nothing_on_its_node(tmp_path, worker):
    def make(folder, worker):
        write_export(folder, worker)
        raise ModelExportError("no format can be made")

    with pytest.raises(ModelExportError, match="no format"):
        made_for(str(tmp_path / "run/exports/1-t0001"), worker=worker, make=make)
    assert left_on(tmp_path / "node") == []


def test_in_a_common_folder_nothing_is_copied_and_the_driver_looks_for_all_of_it(tmp_path, worker, monkeypatch):
    shared = WorkerSpec(**{name: getattr(worker, name) for name in worker.__slots__} | {"mark": write_mark(tmp_path)})
    target, node = tmp_path / "run/exports/1-t0001", Node()
    made = made_for(str(target), worker=shared, make=write_export)
    assert made.source == ""
    assert end_of(brought(made, node.ask)) == "made with /nowhere/checkpoints"
    assert node.asked == []
    assert not (tmp_path / "node").exists()
    # A network file system may show it late.
    hidden, waited = target.rename(tmp_path / "hidden"), brought(made, node.ask)
    assert next(waited) is None
    hidden.rename(target)
    assert end_of(waited) == "made with /nowhere/checkpoints"
    (target / "model.keras").write_bytes(b"other")
    monkeypatch.setattr(bringing, "ARRIVAL_SECONDS", 0.0)
    with pytest.raises(ModelExportError, match=r"this driver does not find it whole \(model.keras is not as it was"):
        end_of(brought(made, node.ask))
