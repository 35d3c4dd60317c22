"""What is said of a cluster's nodes, and of trials that wait for room on them."""

import pytest

from orchestrator.cluster.resources import NodeResources
from orchestrator.nodes.cluster_view import ClusterNode, ClusterView, nodes_of, trials_at_once
from orchestrator.nodes.news import AGAIN_SECONDS, PATIENCE_SECONDS, ClusterNews
from orchestrator.study.sections import Resources


def node(name: str, cpus: float = 1, leaves_at: float | None = None) -> ClusterNode:
    resources = NodeResources(cpus=cpus, gpus=0)
    return ClusterNode(
        node_id=f"id-{name}", name=name, ip=f"10.0.0.{name[-1]}", resources=resources, leaves_at=leaves_at
    )


def view(*nodes: ClusterNode, free: float = 0.0) -> ClusterView:
    return ClusterView(nodes=nodes, free={"CPU": free})


def news(first: ClusterView, **resources: object) -> ClusterNews:
    section = Resources.model_validate(resources)
    return ClusterNews(request=section.request_in_words, view=first, slots=lambda seen: trials_at_once(section, seen))


def test_nothing_is_said_of_nodes_that_stay():
    told = news(view(node("n1"), node("n2")))
    assert list(told.of_nodes(view(node("n2"), node("n1")))) == []


def test_node_that_joins_brings_places_and_is_named_once():
    told = news(view(node("n1")))
    grown = view(node("n1"), node("n2", cpus=2))
    assert list(told.of_nodes(grown)) == [
        "node n2 (10.0.0.2) joined the cluster with 2 CPUs and 0 GPUs",
        "3 trials at a time now",
    ]
    assert list(told.of_nodes(grown)) == []


def test_number_of_trials_that_the_study_sets_does_not_follow_the_nodes():
    told = news(view(node("n1")), max_concurrent=4)
    assert list(told.of_nodes(view(node("n1"), node("n2")))) == [
        "node n2 (10.0.0.2) joined the cluster with 1 CPUs and 0 GPUs"
    ]


def test_node_that_drains_is_named_before_it_goes_and_as_one_that_left():
    told = news(view(node("n1"), node("n2")))
    drained = view(node("n1"), node("n2", leaves_at=99.0))
    assert list(told.of_nodes(drained)) == [
        "node n2 (10.0.0.2) is about to leave the cluster: its trials move once they have reported",
        "1 trial at a time now",
    ]
    assert list(told.of_nodes(drained)) == []
    assert list(told.of_nodes(view(node("n1")))) == ["node n2 (10.0.0.2) has left the cluster"]


def test_node_that_is_lost_comes_with_the_way_to_bring_it_back():
    told = news(view(node("n1"), node("n2")))
    lost, _ = told.of_nodes(view(node("n1")))
    assert lost.startswith("node n2 (10.0.0.2) is lost: its trials go on elsewhere;")
    assert "`ray stop` and `ray start` on it" in lost


def test_waiting_is_said_after_a_while_again_later_and_when_it_ends():
    told, now = news(view(node("n1"))), view(node("n1"), free=0.5)
    said = {
        at: list(told.of_waiting(2, view=now, now=at))
        for at in (0.0, PATIENCE_SECONDS - 1, PATIENCE_SECONDS, PATIENCE_SECONDS + 1, PATIENCE_SECONDS + AGAIN_SECONDS)
    }
    assert [len(lines) for lines in said.values()] == [0, 0, 1, 0, 1]
    assert said[PATIENCE_SECONDS] == [
        "2 trials wait for the cluster since 15 s: each asks for 1 CPUs and 0 GPUs, and 0.5 of 1 CPUs are free"
    ]
    assert list(told.of_waiting(0, view=now, now=400.0)) == ["the cluster has room again, after 6 min 40 s"]
    assert list(told.of_waiting(0, view=now, now=401.0)) == []


def test_short_wait_is_never_mentioned():
    told, now = news(view(node("n1"))), view(node("n1"))
    assert list(told.of_waiting(1, view=now, now=0.0)) == []
    assert list(told.of_waiting(0, view=now, now=5.0)) == []
    assert list(told.of_waiting(1, view=now, now=6.0)) == []
    assert list(told.of_waiting(1, view=now, now=6.0 + PATIENCE_SECONDS - 1)) == []


def test_rows_of_ray_become_nodes_that_live():
    row = {"NodeManagerHostname": "gpu1", "NodeManagerAddress": "10.0.0.5", "Alive": True}
    rows = [
        {**row, "NodeID": "a", "Resources": {"CPU": 4.0, "GPU": 1.0, "accelerator_type:H100": 1.0, "memory": 1e9}},
        {**row, "NodeID": "b", "Resources": {"CPU": 4.0}, "Alive": False},
        {**row, "NodeID": "c", "Resources": {}},
    ]
    first, last = nodes_of(rows, draining={"a": 2500, "c": 0})
    assert first.resources == NodeResources(cpus=4, gpus=1, others={"accelerator_type:H100": 1.0})
    assert (first.leaves_at, last.leaves_at) == (2.5, float("inf"))
    assert first.label == "gpu1 (10.0.0.5)"


@pytest.mark.parametrize(("nodes", "slots"), [((), 1), ((node("n1", leaves_at=5.0),), 1), ((node("n1", 3),), 3)])
def test_study_keeps_one_place_where_no_node_stays(nodes, slots):
    assert trials_at_once(Resources(), view(*nodes)) == slots
