"""What keeps Ray from starting is said with its fix, and nothing that Ray logs has credentials."""

import pytest

from orchestrator.cluster.connection import ray_session
from orchestrator.study.sections import Resources


def test_a_folder_too_deep_for_rays_sockets_is_said_with_the_fix(convfleet, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    convfleet.environment["RAY_TMPDIR"] = str(deep)
    said = convfleet.run("run", convfleet.write_study("deep"), code=1)
    assert f"{deep}" in said
    assert "set RAY_TMPDIR to a folder with a shorter path, such as /tmp" in said


@pytest.mark.parametrize(("address", "variable"), [("ray://head:10001", ""), ("auto", "ray://head:10001")])
def test_a_driver_outside_of_the_cluster_is_refused_with_two_ways_in(convfleet, address, variable):
    convfleet.environment["RAY_ADDRESS"] = variable
    said = convfleet.run("run", convfleet.write_study("outside"), "--address", address, code=2)
    assert f"{'RAY_ADDRESS' if variable else '--address'}: a driver outside the cluster (Ray Client)" in said
    assert "run the command on a node of the cluster with --address auto" in said
    assert "ray job submit -- convfleet run STUDY" in said
    assert not (convfleet.folder / "runs/outside").exists()


def logged():
    from ray.tune.execution.class_cache import _ActorClassCache

    return _ActorClassCache().get(type("Trainable", (), {}))._default_options["runtime_env"].env_vars()


def test_credentials_are_in_no_runtime_environment_which_ray_logs(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("orchestrator.cluster.connection.node_resources", list)

    assert logged()["AWS_SECRET_ACCESS_KEY"] == "not-a-secret"
    with ray_session(Resources(), address="auto"):
        assert "AWS_SECRET_ACCESS_KEY" not in logged()
        assert logged()
    assert logged()["AWS_SECRET_ACCESS_KEY"] == "not-a-secret"


def test_trials_of_a_ray_of_this_machine_alone_need_nobody_to_set_an_environment_up(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("orchestrator.cluster.connection._connect", lambda *_, **__: None)
    monkeypatch.setattr("orchestrator.cluster.connection.node_resources", list)
    # The session sets it for good.
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")
    before = logged()
    assert before
    with ray_session(Resources()):
        assert logged() == {}
    assert logged() == before
