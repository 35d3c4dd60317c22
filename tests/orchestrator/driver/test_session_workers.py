"""What a session asks of a Ray of its own: CPUs to share out, and workers while it reads the data."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from orchestrator.cluster import connection, ray_internals
from orchestrator.cluster.resources import NodeResources
from orchestrator.driver import preparation
from orchestrator.driver.endings import open_session
from orchestrator.runs.folder import make_run_folder
from orchestrator.sharing.nodes import NodeFiles
from orchestrator.study.loading import load_study
from orchestrator.study.sections import Resources


@pytest.mark.parametrize(("counted", "usable", "expected"), [(64, 4, 4), (4.0, 64, 4), (8, 8, 8)])
def test_a_ray_of_our_own_shares_out_no_more_cpus_than_it_may_run_on(counted, usable, expected, monkeypatch):
    given = {}
    monkeypatch.setattr(ray_internals, "get_num_cpus", lambda: counted)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(usable)))
    monkeypatch.setattr("ray.init", lambda **settings: given.update(settings))
    connection._init_local(Resources(), modules=[])
    assert given["num_cpus"] == expected
    connection._init_local(Resources(cpus=16), modules=[])
    assert given["num_cpus"] == 16


def test_workers_are_wanted_for_the_trials_that_are_left_until_the_data_is_there(tmp_path, monkeypatch):
    asked, is_asked, prepare = [], threading.Event(), preparation.prepare_folds_in_process

    @contextmanager
    def local_ray(resources, *, address, trials_left):
        asked.append((trials_left(), trials_left))
        is_asked.set()
        yield [NodeResources(cpus=2, gpus=0)]

    def prepare_later(*arguments, **named):
        assert is_asked.wait(60)
        return prepare(*arguments, **named)

    monkeypatch.setattr(preparation, "ray_session", local_ray)
    monkeypatch.setattr(preparation, "prepare_folds_in_process", prepare_later)
    spec = load_study("quickstart")
    with open_session(
        make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml()), spec, address=None, progress=None
    ) as session:
        session.open_study()
        with session.prepare():
            ((before, trials_left),) = asked
            assert before == spec.num_trials
            assert trials_left() == 0


@pytest.mark.parametrize("apart", [["n1"], []])
def test_checkpoints_of_the_run_folder_are_in_the_storage_before_nodes_without_it_train(apart, tmp_path, monkeypatch):
    uploaded = []

    @contextmanager
    def cluster(resources, *, address, trials_left):
        yield [NodeResources(cpus=2, gpus=0)]

    @contextmanager
    def files(worker, *, is_cluster, notify):
        assert is_cluster
        yield NodeFiles(worker=worker, apart=apart)

    monkeypatch.setattr(preparation, "ray_session", cluster)
    monkeypatch.setattr(preparation, "node_files", files)
    spec = load_study("quickstart")
    folder = make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml())
    with open_session(folder, spec, address="auto", progress=None) as session:
        session.mirror = SimpleNamespace(upload_checkpoints=lambda: uploaded.append("all"))
        session.open_study()
        with session.prepare() as prepared:
            assert prepared.has_common_folder is not bool(apart)
            assert uploaded == ["all" for _ in apart]
