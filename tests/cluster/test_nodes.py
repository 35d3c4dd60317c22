"""Studies on a cluster of hosts whose nodes come and go, and whose head dies."""

import os
import re
import signal

import pytest
from hosted_studies import HostedStudy
from hosts import Hosts, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hosts(make_hosts) -> Hosts:
    made = make_hosts("head", "node1", "node2")
    made.ray_head()
    made.ray_worker("node1")
    return made


@pytest.fixture(scope="module")
def rows_in_calm(hosts) -> dict:
    """The rows of the study without a cluster, and without faults."""
    study = HostedStudy(hosts, "calm", "--set", "export.top=0")
    study.end()
    return study.rows()


def test_node_that_joins_is_used_and_one_that_drains_is_left_in_time(hosts, rows_in_calm):
    study = HostedStudy(hosts, "moving", "--address", "auto")
    study.wait_for("t0000", 3)
    hosts.ray_worker("node2")
    study.wait_for("t0001", 3)
    hosts.drain("node1", seconds=30)
    wait_until(lambda: study.records("worker_lost"), seconds=30, what=f"a trial that moves: {study.said}")
    study.end()
    assert len(study.exports()) == 1
    assert study.rows() == rows_in_calm
    (moved,) = study.records("worker_lost")
    assert moved["kind"] == "moved"
    said = study.said
    assert re.search(
        r"node node2 \(10\.77\.0\.\d+\) joined the cluster with 1 CPUs and 0 GPUs\n2 trials at a time now", said
    )
    assert re.search(r"node node1 \(10\.77\.0\.\d+\) is about to leave the cluster", said)
    assert f"{moved['trial']} moves: node node1" in said
    workers = [record["worker"]["node"] for record in study.records("epoch_reported")]
    # Nothing is trained on node1 that began after its trial had moved.
    assert workers[-1] == "node2"


def test_lost_head_pauses_the_study_which_goes_on_once_a_cluster_is_there(hosts, rows_in_calm):
    study = HostedStudy(hosts, "headless", "--address", "auto", "--wait-for-cluster", "--set", "search.trials=2")
    study.wait_for("t0000", 3)
    for pid in hosts.pids("head", "gcs_server"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "waiting for a cluster at" in study.said, seconds=100, what=f"a pause: {study.said}")
    (paused,) = study.records("study_paused")
    assert re.match(r"the cluster's head at 10\.77\.0\.11:6379 has not answered for 3\d s", paused["reason"])
    assert "go on with: convfleet resume runs/headless --address 10.77.0.11:6379" in study.said
    hosts.run("head", "ray stop")
    hosts.ray_head()
    hosts.ray_worker("node2")
    study.end()
    assert len(study.exports()) == 1
    assert study.rows() == {key: row for key, row in rows_in_calm.items() if key[0] < "t0002"}
    assert len(study.records("session_started")) == 2
