"""Studies on a cluster of hosts whose nodes come and go, and whose head dies."""

import os
import re
import signal

import pytest
from hosted_studies import HostedStudy
from hosts import SHARED, Hosts, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

#: A callback that notes each epoch that is trained, also one that does not end. Past ones that it is told of
#: anew as a trial goes on take no time.
OWN = f"""
import time

import keras


class Begun(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()
        self.note("begun")

    def on_epoch_end(self, epoch, logs=None):
        self.note("trained" if time.monotonic() - self.began > 0.01 else "told")

    def note(self, word):
        with open("{SHARED}/epochs.txt", "a") as file:
            file.write(word + " ")
"""


def num_trained_twice(hosts, num_reports):
    """Returns how many epochs were trained, or begun, beyond those that were reported."""
    words = (hosts.shared / "epochs.txt").read_text().split()
    (hosts.shared / "epochs.txt").unlink()
    return words.count("begun") - words.count("told") - num_reports


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
    (hosts.shared / "own.py").write_text(OWN)
    study = HostedStudy(hosts, "moving", "--address", "auto", callbacks=["own:Begun"])
    study.wait_for("t0000", 3)
    hosts.ray_worker("node2")
    study.wait_for("t0001", 3)
    hosts.drain("node1", seconds=30)
    wait_until(lambda: study.records("worker_lost"), seconds=30, what=f"a trial that moves: {study.said}")
    study.end()
    # The one that its worker had begun as the report was answered with the end.
    assert 0 <= num_trained_twice(hosts, len(rows_in_calm)) <= 1
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


def test_worker_that_is_lost_without_a_warning_costs_an_epoch_at_most(hosts, rows_in_calm):
    (hosts.shared / "own.py").write_text(OWN)
    hosts.ray_worker("node2")
    study = HostedStudy(hosts, "lost", "--address", "auto", callbacks=["own:Begun"])
    for epoch in (3, 10, 20):
        study.wait_for("t0000", epoch)
        os.kill(hosts.pids("node2", "ray::ResourceTrainable")[0], signal.SIGKILL)
    study.end()
    assert study.rows() == rows_in_calm
    lost = study.records("worker_lost")
    num_twice = num_trained_twice(hosts, len(rows_in_calm))
    print(f"{len(lost)} workers lost, {num_twice} epochs trained twice")
    assert len(lost) == 3
    assert 0 <= num_twice <= 3


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
