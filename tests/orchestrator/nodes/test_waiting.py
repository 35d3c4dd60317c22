"""Waiting for a cluster ends when it has room, and says what it waits for once."""

from contextlib import contextmanager

import pytest

from orchestrator.cluster.resources import NodeResources
from orchestrator.errors import StudyFailedError
from orchestrator.nodes import waiting
from orchestrator.study.sections import Resources


class Cluster:
    """A cluster that comes up step by step, one a look at its head."""

    def __init__(self, monkeypatch, steps):
        self.steps, self.said, self.now = list(steps), [], 0.0
        monkeypatch.setattr(waiting, "head_address", lambda address: "10.0.0.1:6379")
        monkeypatch.setattr(waiting, "takes_connections", lambda head: self.step() != "down")
        monkeypatch.setattr(waiting, "ray_session", self.session)
        monkeypatch.setattr(waiting, "node_resources", lambda: self.nodes)
        monkeypatch.setattr(waiting.ray, "is_initialized", lambda: True)
        monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)

    def step(self):
        self.current = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return self.current

    @property
    def nodes(self):
        return [NodeResources(cpus=float(self.current), gpus=0)]

    @contextmanager
    def session(self, resources, *, address):
        if self.current == "refuses":
            raise StudyFailedError("the token is another")
        yield self.nodes

    def wait(self):
        def sleep(seconds):
            self.now += seconds

        waiting.wait_for_cluster(
            "10.0.0.1:6379", resources=Resources(), notify=self.said.append, clock=lambda: self.now, sleep=sleep
        )


def test_study_begins_once_a_node_has_room(monkeypatch):
    cluster = Cluster(monkeypatch, ["down", "down", "refuses", 0, 0, 2])
    cluster.wait()
    assert cluster.said == [
        "waiting for a cluster at 10.0.0.1:6379",
        "waiting for the cluster at 10.0.0.1:6379 to let this driver in",
        "waiting for nodes of the cluster at 10.0.0.1:6379: a trial asks for 1 CPUs and 0 GPUs",
    ]


def test_cluster_that_is_there_is_not_waited_for(monkeypatch):
    cluster = Cluster(monkeypatch, [1])
    cluster.wait()
    assert (cluster.said, cluster.now) == ([], 0.0)


def test_head_that_refuses_for_good_is_an_error(monkeypatch):
    cluster = Cluster(monkeypatch, ["refuses"])
    with pytest.raises(StudyFailedError, match="the token is another"):
        cluster.wait()
    assert 60 < cluster.now < 70
