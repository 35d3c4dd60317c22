"""Trials leave nodes that drain as soon as they have reported, and at the last moment without."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import ConcurrencyLimiter, Searcher

from orchestrator.cluster.resources import NodeResources
from orchestrator.journal.file import Journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import SessionStarted, TrialProposed, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import num_moves
from orchestrator.nodes.cluster_view import ClusterNode, ClusterView, trials_at_once
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import Resources
from orchestrator.tuning import drained_nodes
from orchestrator.tuning.drained_nodes import LAST_SECONDS, DrainedNodes
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.losses.lost_workers import num_losses
from orchestrator.tuning.worker_generations import WorkerGenerations

LEAVES_AT = 100.0


def node(ip: str, *, leaves_at: float | None = None, node_id: str = "") -> ClusterNode:
    resources = NodeResources(cpus=1, gpus=0)
    return ClusterNode(node_id=node_id or ip, name=ip, ip=ip, resources=resources, leaves_at=leaves_at)


class Rig:
    """A trial on the first of two nodes."""

    def __init__(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorder, self.now, self.killed = recorder, 0.0, []
        self.view: ClusterView | None = ClusterView(nodes=(node("a"), node("b")))
        self.generations = WorkerGenerations(Resources(), num_concurrent=2)
        self.limiter = ConcurrencyLimiter(Searcher(metric="m", mode="max"), max_concurrent=2)
        self.watch = DrainedNodes(
            TuneListener(recorder),
            view=lambda: self.view,
            generations=self.generations,
            limiter=self.limiter,
            slots=lambda view: trials_at_once(Resources(), view),
        )
        self.trial: Any = SimpleNamespace(
            config={"trial": "t0000"},
            status="RUNNING",
            num_failures=0,
            max_failures=0,
            temporary_state=SimpleNamespace(ray_actor="actor"),
        )
        monkeypatch.setattr(drained_nodes.ray, "kill", lambda actor, **_: self.killed.append(actor))

    def step(self) -> None:
        self.watch.on_step_begin(0, [self.trial])

    def report(self, ip: str = "a") -> None:
        self.watch.on_trial_result(0, [self.trial], self.trial, {"node_ip": ip})

    def drain(self, leaves_at: float = LEAVES_AT) -> None:
        self.view = ClusterView(nodes=(node("a", leaves_at=leaves_at), node("b")))
        self.step()


@pytest.fixture
def rig(tmp_path: Path, make_opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    folder = RunFolder(tmp_path)
    with Journal(folder.journal) as journal:
        recorder = Recorder(journal, state=fold([]), folder=folder, clock=lambda: made.now, retries=2)
        made = Rig(recorder, monkeypatch)
        recorder.append(make_opened(at=0.0))
        recorder.append(SessionStarted(driver_pid=1, slots=1, at=0.0))
        variant = {"family": "sequential", "params": {}, "seed": 7}
        recorder.append(TrialProposed(trial="t0000", number=0, variant=variant, at=0.0))
        recorder.append(TrialStarted(trial="t0000", at=0.0))
        made.step()
        yield made


def test_trial_moves_with_its_next_report_and_no_retry_is_taken(rig: Rig) -> None:
    rig.report()
    rig.drain()
    rig.step()
    assert rig.killed == [], "the epoch under way is not thrown away"
    rig.report()
    rig.step()
    assert rig.killed == ["actor"]
    trial = rig.recorder.trial("t0000")
    assert (num_moves(trial), num_losses(trial), trial.state) == (1, 0, "paused")
    assert rig.trial.max_failures == 1, "Ray Tune goes on with it"
    assert trial.losses[0].reason.startswith("node a leaves the cluster in 1 min 40 s: the trial goes on elsewhere")
    rig.step()
    assert rig.killed == ["actor"], "once"


def test_trial_whose_epoch_is_too_long_moves_at_the_last_moment(rig: Rig) -> None:
    rig.report()
    rig.drain()
    rig.now = LEAVES_AT - LAST_SECONDS
    rig.step()
    assert rig.killed == []
    rig.now += 0.5
    rig.step()
    assert rig.killed == ["actor"]


def test_trial_on_another_node_and_one_that_has_ended_stay(rig: Rig) -> None:
    rig.report("b")
    rig.drain()
    rig.report("b")
    rig.step()
    rig.report("a")
    rig.watch.on_trial_complete(0, [], rig.trial)
    rig.step()
    assert rig.killed == []


def test_nobody_moves_while_the_study_pauses(rig: Rig) -> None:
    rig.report()
    rig.drain()
    rig.report()
    rig.recorder.pause_requested.set()
    rig.step()
    assert rig.killed == []


def test_new_trials_get_new_workers_once_a_node_drains(rig: Rig) -> None:
    before = rig.generations.next()
    rig.drain()
    rig.drain()
    assert rig.generations.next() == before + 1, "once for a node that drains"


def test_host_that_was_started_again_is_not_left(rig: Rig) -> None:
    rig.report()
    rig.view = ClusterView(nodes=(node("a", leaves_at=LEAVES_AT), node("a", node_id="anew"), node("b")))
    rig.step()
    rig.report()
    rig.step()
    assert rig.killed == []


def test_number_of_trials_follows_the_nodes_that_stay(rig: Rig) -> None:
    counts = []
    for nodes in [(node("a"), node("b"), node("c")), (node("a", leaves_at=5.0), node("b"), node("c")), ()]:
        rig.view = ClusterView(nodes=nodes)
        rig.step()
        counts.append(rig.limiter.max_concurrent)
    assert counts == [3, 2, 1]
