"""Studies on a cluster of hosts whose nodes come and go, and whose head dies."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import yaml
from hosts import SHARED, Hosts, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: Epochs of a quarter of a second: trials outlast the time that a node takes to join.
STUDY = {
    "seed": 3,
    "data": {"source": "digits"},
    "space": {
        "family": "residual",
        "params": {"filters": {"choice": [16, 24]}, "learning_rate": {"float": [0.001, 0.01]}},
    },
    "search": {"algorithm": "random", "trials": 3},
    "schedule": {"algorithm": "none", "max_epochs": 40},
    "export": {"top": 1, "formats": ["keras"]},
    "references": False,
}
DRAIN = (
    "ray drain-node --node-id {node} --reason DRAIN_NODE_REASON_PREEMPTION --reason-message spot "
    "--deadline-remaining-seconds 30"
)
NODE_IDS = (
    "import ray; ray.init(address='auto', log_to_driver=False, configure_logging=False); "
    "print({node['NodeManagerHostname']: node['NodeID'] for node in ray.nodes()})"
)


class Study:
    """A study on the head of some hosts."""

    def __init__(self, hosts: Hosts, name: str, *options: str) -> None:
        self.folder = hosts.shared / "runs" / name
        (hosts.shared / f"{name}.yaml").write_text(yaml.safe_dump({**STUDY, "name": name}))
        command = " ".join(["convfleet", "run", f"{name}.yaml", *options])
        self._log = (hosts.folder / f"{name}.log").open("w")
        self.process = hosts.popen("head", command, cwd=SHARED, stdout=self._log)

    @property
    def said(self) -> str:
        return Path(self._log.name).read_text()

    def records(self, kind: str) -> list[dict]:
        path = self.folder / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [record for record in map(json.loads, lines) if record["type"] == kind]

    def has_reported(self, trial: str, epoch: int) -> bool:
        assert self.process.poll() is None, self.said
        reports = self.records("epoch_reported")
        return any(record["trial"] == trial and record["report"]["epoch"] >= epoch for record in reports)

    def wait_for(self, trial: str, epoch: int) -> None:
        wait_until(lambda: self.has_reported(trial, epoch), seconds=200, what=f"{trial}, epoch {epoch}: {self.said}")

    def end(self) -> None:
        assert self.process.wait(300) == 0, self.said

    def rows(self) -> dict[tuple[str, int], dict[str, float]]:
        """Returns the metrics by (trial, epoch), after checking that each is there once."""
        found = {}
        for record in self.records("epoch_reported"):
            key = record["trial"], record["report"]["epoch"]
            assert key not in found, f"{key} is there twice"
            found[key] = record["report"]["metrics"]
        return found


@pytest.fixture(scope="module")
def hosts(make_hosts) -> Hosts:
    made = make_hosts("head", "node1", "node2")
    made.ray_head()
    made.ray_worker("node1")
    return made


@pytest.fixture(scope="module")
def calm_rows(hosts) -> dict:
    """The rows of the study without a cluster, and without faults."""
    study = Study(hosts, "calm", "--set", "export.top=0")
    study.end()
    return study.rows()


def test_node_that_joins_is_used_and_one_that_drains_is_left_in_time(hosts, calm_rows):
    study = Study(hosts, "moving", "--address", "auto")
    study.wait_for("t0000", 3)
    hosts.ray_worker("node2")
    study.wait_for("t0001", 3)
    node_ids = hosts.run("head", f'python -c "{NODE_IDS}" 2>/dev/null')
    (node,) = re.findall(r"'node1': '(\w+)'", node_ids)
    hosts.run("head", DRAIN.format(node=node))
    wait_until(lambda: study.records("worker_lost"), seconds=30, what=f"a trial that moves: {study.said}")
    study.end()
    assert (next((study.folder / "exports").glob("1-*")) / "model.keras").exists()
    assert study.rows() == calm_rows
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


def test_lost_head_pauses_the_study_which_goes_on_once_a_cluster_is_there(hosts, calm_rows):
    study = Study(hosts, "headless", "--address", "auto", "--wait-for-cluster", "--set", "search.trials=2")
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
    assert study.rows() == {key: row for key, row in calm_rows.items() if key[0] < "t0002"}
    assert len(study.records("session_started")) == 2
