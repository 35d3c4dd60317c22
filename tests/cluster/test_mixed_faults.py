"""Kills, cuts, frozen machines, full disks, drains and new nodes in any order: a study ends with a calm one's rows.

Twenty orders, whose seeds are printed; CONVFLEET_TEST_ORDERS and CONVFLEET_TEST_SEED take others.
"""

import os
import random
import shutil
import signal
import time

import pytest
from hosted_studies import HostedStudy
from hosts import Hosts

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(10800)]

NUM_ORDERS = int(os.environ.get("CONVFLEET_TEST_ORDERS", "20"))
NUM_FAULTS = 4
NODES = ("node1", "node2", "node3")
CHANGES = {
    "search": {"algorithm": "random", "trials": 4},
    "export": {"top": 2, "formats": ["keras"]},
    "resources": {"retries": 20},
}


class Weather:
    """Faults in a random order.

    Args:
        hosts: A head and nodes, of which the last has not joined.
        study: At work.
        seed: Of the order.
    """

    def __init__(self, hosts: Hosts, study: HostedStudy, *, seed: int) -> None:
        self.hosts, self.study = hosts, study
        self.chance = random.Random(seed)
        self.joined = list(NODES[:-1])
        self.told: list[str] = []

    def play(self, count: int) -> None:
        faults = [self.kill_worker, self.cut, self.freeze, self.drain, self.join, self.kill_driver, self.fill_disk]
        for fault in self.chance.choices(faults, k=count):
            time.sleep(self.chance.uniform(1, 12))
            if self.study.process.poll() is not None:
                return
            self.told.append(fault.__name__)
            fault()

    def kill_worker(self) -> None:
        # Not one of Ray's agents, without which a node takes itself down.
        pids = self.hosts.pids(self.chance.choice(self.joined), "ray::ResourceTrainable")
        for pid in pids[:1]:
            os.kill(pid, signal.SIGKILL)

    def cut(self) -> None:
        name = self.chance.choice(self.joined)
        self.hosts.cut(name)
        time.sleep(self.chance.choice([2, 10, 45]))
        self.hosts.mend(name)
        self.hosts.ray_worker(name)

    def freeze(self) -> None:
        name = self.chance.choice(self.joined)
        self.hosts.freeze(name)
        time.sleep(self.chance.choice([2, 10, 45]))
        self.hosts.thaw(name)
        if name not in self.hosts.live_nodes():
            self.hosts.ray_worker(name)

    def drain(self) -> None:
        name = self.chance.choice(self.joined)
        if name in self.hosts.live_nodes():
            self.hosts.drain(name, seconds=10)
            time.sleep(12)
        self.hosts.ray_worker(name)

    def join(self) -> None:
        self.hosts.ray_worker(NODES[-1])
        self.joined = list(NODES)

    def kill_driver(self) -> None:
        self.study.kill()
        self.study.resume("--address", "auto")

    def fill_disk(self) -> None:
        self.hosts.disk.fill()
        # The driver ends in words at its next record, or where a worker cannot write its checkpoint.
        end = time.monotonic() + 30
        while self.study.process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        self.hosts.disk.mend()
        if self.study.process.poll():
            assert f"convfleet resume runs/{self.study.name}" in self.study.said
            self.study.resume("--address", "auto")


@pytest.fixture(scope="module")
def hosts(make_hosts) -> Hosts:
    made = make_hosts("head", *NODES, shared_mb=400)
    made.ray_head()
    made.ray_worker(*NODES[:-1])
    return made


@pytest.fixture(scope="module")
def calm(hosts) -> HostedStudy:
    """The study without faults, on a Ray of the head alone."""
    study = HostedStudy(hosts, "calm", **CHANGES)
    study.end()
    return study


def test_study_in_any_weather_has_the_rows_and_exports_of_a_calm_one(hosts, calm):
    first = int(os.environ.get("CONVFLEET_TEST_SEED", "20261129"))
    for seed in range(first, first + NUM_ORDERS):
        study = HostedStudy(hosts, f"weather-{seed}", "--address", "auto", **CHANGES)
        study.wait_for("t0000", 2)
        weather = Weather(hosts, study, seed=seed)
        weather.play(NUM_FAULTS)
        print(f"seed {seed}: {', '.join(weather.told)}")
        study.end(seconds=600)
        assert study.rows() == calm.rows(), f"seed {seed}: {weather.told}"
        assert [path.name for path in study.exports()] == [path.name for path in calm.exports()]
        shutil.rmtree(study.folder)
        hosts.ray_worker(*(name for name in weather.joined if name not in hosts.live_nodes()))
