"""`--wait-for-cluster`: before the work, and after the cluster was lost in the middle of it."""

import sys
from pathlib import Path

import pytest

from orchestrator.cli import waiting
from orchestrator.cli.waiting import cluster_awaited
from orchestrator.errors import ClusterLostError, InputError
from orchestrator.study.sections import Resources


@pytest.fixture
def seen(monkeypatch):
    found = []
    monkeypatch.setattr("orchestrator.nodes.waiting.wait_for_cluster", lambda address, **_: found.append(address))
    monkeypatch.setattr(waiting.os, "execv", lambda program, command: found.append((program, command)))
    return found


def awaited(address="10.0.0.1:6379", *, is_wanted=True, options=()):
    return cluster_awaited(address, is_wanted=is_wanted, resources=Resources, options=options, notify=lambda text: None)


def lost(run):
    error = ClusterLostError("the head is gone", address="10.0.0.1:6379")
    error.run = run
    return error


def test_work_begins_once_the_cluster_is_there(seen):
    with awaited():
        assert seen == ["10.0.0.1:6379"]


def test_lost_cluster_makes_this_program_a_resume_that_waits(seen):
    with awaited("auto", options=["--json"]):
        raise lost(Path("runs/a b"))
    command = ["-m", "convfleet", "resume", "runs/a b", "--address", "10.0.0.1:6379", "--wait-for-cluster", "--json"]
    assert seen == ["auto", (sys.executable, [sys.executable, *command])]


def test_nobody_waits_who_was_not_asked_to(seen):
    with pytest.raises(ClusterLostError), awaited(is_wanted=False):
        raise lost(Path("runs/a"))
    assert seen == []


def test_run_without_a_trial_is_not_resumed(seen):
    with pytest.raises(ClusterLostError), awaited():
        raise lost(None)
    assert len(seen) == 1


def test_waiting_needs_an_address(seen):
    with pytest.raises(InputError, match="--wait-for-cluster: there is no cluster to wait for"), awaited(None):
        pass
