"""Before the first trial every node is asked what it finds; what it lacks is an error that names it and the way out."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorUnschedulableError

from orchestrator.cluster.processes import LiveNode, TaskAnswer
from orchestrator.errors import InputError, StudyFailedError
from orchestrator.sharing import looking, nodes
from orchestrator.sharing.looking import NodeQuestion, NodeView, look
from orchestrator.sharing.nodes import files_problem, node_files
from trainables.sharing.marks import sees_mark, write_mark
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

NODES = [LiveNode(id=name, name=f"{name} (10.0.0.{n})", cpus=1.0) for n, name in enumerate(["n1", "n2"], start=1)]
HERE = NodeView(answer="a", place="")


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "entry").mkdir()
    return WorkerSpec(
        dataset=SimpleNamespace(folder=str(tmp_path / "entry")),
        data=DataSpec(source="digits"),
        split_seed=0,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"),
        device=DeviceSpec(),
        checkpoints=str(tmp_path / "run/checkpoints"),
    )


@pytest.fixture
def cluster(monkeypatch):
    """A cluster whose nodes answer as the test says; by default they look for themselves."""
    answers = {node.id: look for node in NODES}

    def answers_of_nodes(function, request, *, nodes, timeout_seconds):
        assert function is look
        given = {node.id: answers[node.id] for node in nodes if answers[node.id] is not None}
        return {
            name: TaskAnswer(request=request, error=answer)
            if isinstance(answer, Exception)
            else TaskAnswer(request=request, value=answer(request))
            for name, answer in given.items()
        }

    monkeypatch.setattr(nodes, "other_nodes", lambda: [*NODES, LiveNode(id="head", name="head", cpus=0.0)])
    monkeypatch.setattr(nodes, "answers_of_nodes", answers_of_nodes)
    monkeypatch.setattr(nodes, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(looking, "_LOOK_SECONDS", 0.0)
    return answers


def with_another_folder(request):
    """What a node finds whose folder at the run folder's path is its own."""
    return look(replace(request, worker=replace(request.worker, mark=f"{request.worker.mark}-of-another")))


def test_nodes_that_share_the_run_folder_are_not_mentioned_and_the_mark_goes_with_the_session(worker, cluster):
    said = []
    with node_files(worker, is_cluster=True, notify=said.append) as files:
        assert files.apart == []
        assert sees_mark(files.worker.mark)
    assert said == []
    assert not sees_mark(files.worker.mark)
    assert list(Path(worker.checkpoints).iterdir()) == []


def test_this_machine_alone_is_not_asked(worker):
    with node_files(worker, is_cluster=False, notify=pytest.fail) as files:
        assert files.worker is worker
    assert not Path(worker.checkpoints).exists()


def test_without_a_storage_a_node_with_a_folder_of_its_own_is_refused_by_name(worker, cluster):
    cluster["n2"] = with_another_folder
    with pytest.raises(InputError) as caught, node_files(worker, is_cluster=True, notify=pytest.fail):
        pytest.fail("no trial may begin")
    root = Path(worker.checkpoints).parent
    assert f"n2 (10.0.0.2) has another folder at {root};" in str(caught.value)
    assert "n1" not in str(caught.value)
    assert "--runs /mnt/shared/runs" in str(caught.value)
    assert "--set storage.uri=s3://bucket/runs" in str(caught.value)
    assert list(Path(worker.checkpoints).iterdir()) == []


def test_with_a_storage_that_all_reach_it_is_said_which_nodes_work_apart(worker, cluster, tmp_path):
    stored = replace(worker, remote=f"file://{tmp_path}/bucket/run", run_id="1")
    cluster["n2"], said = with_another_folder, []
    with node_files(stored, is_cluster=True, notify=said.append) as files:
        assert files.apart == ["n2 (10.0.0.2)"]
    assert said == ["files: object storage for n2 (10.0.0.2), which does not share the run folder"]
    assert [path for path in (tmp_path / "bucket").rglob("*") if path.is_file()] == []


def test_a_storage_that_is_another_one_on_a_node_is_refused(worker, cluster, tmp_path):
    stored = replace(worker, remote=f"file://{tmp_path}/bucket/run", run_id="1")

    def with_another_storage(request):
        other = replace(request.worker, remote=f"file://{tmp_path}/other/run", mark="/nowhere/mark")
        return look(replace(request, worker=other))

    cluster["n1"] = with_another_storage
    with (
        pytest.raises(InputError, match=r"storage file://.+n1 \(10.0.0.1\) finds another storage at that URI"),
        node_files(stored, is_cluster=True, notify=pytest.fail),
    ):
        pytest.fail("no trial may begin")


def test_a_node_that_cannot_run_convfleet_or_is_silent_is_named(worker, cluster):
    cluster["n1"], said = None, []
    with node_files(worker, is_cluster=True, notify=said.append):
        pass
    assert said == ["files: node n1 (10.0.0.1) did not answer within 120 s; its first trial checks it"]
    cluster["n1"] = ModuleNotFoundError("No module named 'orchestrator'")
    with (
        pytest.raises(StudyFailedError, match=r"node n1 \(10.0.0.1\): cannot run convfleet \(ModuleNotFoundError"),
        node_files(worker, is_cluster=True, notify=pytest.fail),
    ):
        pytest.fail("no trial may begin")


def test_a_node_that_leaves_before_it_answers_keeps_no_study_from_beginning(worker, cluster, monkeypatch):
    cluster["n1"], said = ActorUnschedulableError("the node is gone"), []
    asked = iter([nodes.other_nodes(), []])
    monkeypatch.setattr(nodes, "other_nodes", lambda: next(asked))
    with node_files(worker, is_cluster=True, notify=said.append):
        pass
    assert said == ["files: node n1 (10.0.0.1) left the cluster before it answered"]


def test_an_answer_that_does_not_reach_the_driver_is_no_common_folder(worker, cluster):
    cluster["n1"] = lambda request: HERE
    with (
        pytest.raises(InputError, match=r"n1 \(10.0.0.1\) writes into it what does not reach this driver"),
        node_files(worker, is_cluster=True, notify=pytest.fail),
    ):
        pytest.fail("no trial may begin")


def test_data_that_a_node_lacks_is_named_unless_the_node_has_it_prepared(worker, tmp_path):
    data = DataSpec(source="parquet", train=str(tmp_path / "gone/*.parquet"), test=str(tmp_path))
    asked = NodeQuestion(worker=replace(worker, data=data, mark=write_mark(tmp_path / "run")))
    assert look(asked).lacking == []
    (tmp_path / "entry").rmdir()
    assert look(asked).lacking == [str(tmp_path / "gone")]
    found = files_problem({"n1 (10.0.0.1)": look(asked)}, worker=worker)
    assert found == f"data: n1 (10.0.0.1) has no {tmp_path}/gone; give every node the same files at the same paths"


def test_a_run_folder_that_a_node_may_not_write_is_said(worker, tmp_path, monkeypatch):
    Path(worker.checkpoints).mkdir(parents=True)
    mark = Path(worker.checkpoints) / "mark"
    mark.write_text("")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr(looking, "_LOOK_SECONDS", 0.0)
    view = look(NodeQuestion(worker=replace(worker, mark=str(mark))))
    assert view.place == f"may not write into {tmp_path}/run"


def test_of_many_nodes_some_are_named(worker):
    views = {f"n{number}": NodeView(answer="", place="has no folder /runs/x") for number in range(9)}
    found = files_problem(views, worker=worker)
    assert "n3 has no folder /runs/x, 5 more nodes likewise;" in found
    assert "n4 " not in found
