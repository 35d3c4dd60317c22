"""Workers wait for a study's first trials, with TensorFlow in them, and Ray Tune's actors get those processes."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.cluster import ray_internals
from orchestrator.cluster.prestart import start_early
from orchestrator.cluster.ray_internals import node_awaited_closely
from orchestrator.forking.ahead import preloaded_modules
from orchestrator.forking.session import SWITCH
from orchestrator.study.sections import Resources

#: Prints the processes that wait ahead of the trials, and what actors as Ray Tune makes them find in theirs.
WAIT = """
import json, logging, os, sys, time
from pathlib import Path

import ray
from ray.tune.execution.class_cache import _ActorClassCache
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from threadpoolctl import threadpool_info

from orchestrator.cluster import ray_internals
from orchestrator.cluster.connection import ray_session
from orchestrator.study.sections import Resources

ray_internals.ANSWER_SECONDS = 100

class Worker:
    def look(self):
        early = sys.modules.get("trainables.worker.preloaded")
        is_early = early is not None and early.ENDED <= time.monotonic() and "keras" in sys.modules
        parent = Path(f"/proc/{os.getppid()}/cmdline").read_text()
        threads = sorted({pool["num_threads"] for pool in threadpool_info()})
        return os.getpid(), is_early, threads, "forking/server.py" in parent

def waiting():
    return sorted(pid for pid, line in of_the_session() if line.startswith(b"ray::IDLE"))

def of_the_session():
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes()
            # A fork's first environment is that of the process that it was forked from.
            if session.encode() in (path / "environ").read_bytes():
                yield int(path.name), line
        except OSError:
            continue

logging.basicConfig(level=logging.INFO)
session = f"CONVFLEET_TEST_SESSION={os.getpid()}"
os.environ.update([session.split("=")])
with ray_session(Resources(cpus=2), trials_left=lambda: int(sys.argv[1])):
    until = time.monotonic() + (120 if int(sys.argv[1]) else 5)
    while len(waiting()) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    before = waiting()
    actor = _ActorClassCache().get(Worker)
    actors = []
    for _ in range(2 if int(sys.argv[1]) else 1):
        strategy = PlacementGroupSchedulingStrategy(placement_group([{"CPU": 1}]))
        actors.append(actor.options(num_cpus=1, scheduling_strategy=strategy).remote())
    found = ray.get([each.look.remote() for each in actors])
    lines = [line.decode().replace("\\0", " ") for _, line in of_the_session()]
    print(json.dumps({"waiting": before, "found": found, "processes": lines}))
"""
#: Prints for how many workers is asked, and whether Ray Tune is imported by then.
ASK = """
import sys

from orchestrator.cluster import connection
from orchestrator.study.sections import Resources

connection.start_early = lambda count: print(count, "ray.tune" in sys.modules)
with connection.ray_session(Resources(cpus=1), trials_left=lambda: 3):
    print("ray.tune" in sys.modules)
"""


def looked(num_trials: int, *, is_forking: bool = True) -> dict[str, list]:
    command = [sys.executable, "-c", WAIT, str(num_trials)]
    environment = {**os.environ, SWITCH: str(int(is_forking))}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "workers start with their trials" not in result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("is_forking", [True, False])
def test_actors_get_the_processes_that_were_started_ahead_of_them(is_forking: bool) -> None:
    found = looked(num_trials=7, is_forking=is_forking)
    # Seven trials are left, two run at once.
    assert len(found["waiting"]) == 2
    # The threads of NumPy, and of whatever Keras imports where it is installed, are those of a trial's one CPU.
    assert sorted(found["found"]) == [[pid, True, [1], is_forking] for pid in found["waiting"]]
    # Ray's server of a page, its asking of clouds for nodes and its way for what workers print: nothing asks for them.
    assert any("raylet" in line for line in found["processes"])
    assert not [line for line in found["processes"] if "dashboard.py" in line or "monitor.py" in line]
    # The node's agent and the one that sets environments up, which have idle processes in their places.
    assert not [
        line for line in found["processes"] if "dashboard/agent.py" in line or ("ray::" in line and "Agent" in line)
    ]
    assert sum("idle_agent.py" in line and "--raylet_socket" not in line for line in found["processes"]) == 2


@pytest.mark.slow
def test_workers_are_asked_for_before_ray_tune_is_imported() -> None:
    result = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=300, check=False)
    assert result.stdout.split() == ["1", "False", "True"], result.stderr[-3000:]


@pytest.mark.slow
def test_no_process_waits_where_no_trial_does() -> None:
    found = looked(num_trials=0)
    assert found["waiting"] == []
    assert found["found"]
    assert all(is_imported for _, is_imported, *_ in found["found"])


def test_a_ray_that_cannot_be_asked_is_logged_and_costs_nothing_else(monkeypatch, caplog) -> None:
    def fail() -> None:
        raise AttributeError("nodes")

    monkeypatch.setattr("ray.nodes", fail)
    with caplog.at_level("INFO", logger="orchestrator.cluster.prestart"):
        start_early(2)
    assert caplog.messages == ['workers start with their trials reason="nodes"']


@pytest.mark.parametrize("is_broken", [False, True])
def test_ray_asks_for_its_node_once_the_node_is_there(is_broken, monkeypatch) -> None:
    tables, asked = iter([[], [{"NodeID": "another"}], [{"NodeID": "another"}, {"NodeID": "own"}]]), []

    class State:
        def _initialize_global_state(self, options: str) -> None:
            assert options == "options of address"
            if is_broken:
                raise RuntimeError("not there")

        def node_table(self) -> list[dict[str, str]]:
            return next(tables)

    monkeypatch.setattr(ray_internals, "GlobalState", State)
    monkeypatch.setattr(ray_internals.services, "_get_gcs_client_options", lambda address: f"options of {address}")
    monkeypatch.setattr(ray_internals.services, "get_node", lambda *told: asked.append((told, list(tables))))
    with node_awaited_closely():
        ray_internals.services.get_node("address", "own")
    ((told, left),) = asked
    assert told == ("address", "own")
    assert len(left) == (3 if is_broken else 0)


def test_nothing_is_imported_ahead_where_trials_use_gpus() -> None:
    assert preloaded_modules(Resources(gpus_per_trial=0.5)) == preloaded_modules(Resources(gpus_per_trial="auto")) == []
    assert preloaded_modules(Resources()) == ["trainables.worker.preloaded"]
