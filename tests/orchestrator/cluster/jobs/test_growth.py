"""A study that is sent to a cluster asks for as many places as its autoscaler may bring."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.cluster.jobs.growth import Growth, NodeGroup, growth_of_file
from orchestrator.cluster.resources import NodeResources, concurrent_trials
from orchestrator.errors import ResourceError
from orchestrator.study.sections import Resources

ROOT = Path(__file__).parents[4]
AT_ONCE = "resources.max_concurrent"


@given(
    groups=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 4)), max_size=3),
    most_workers=st.integers(0, 6),
    cpus=st.sampled_from([0.5, 1, 2]),
    gpus=st.sampled_from([0, 0.5, 1]),
    share=st.sampled_from([1.0, 0.5, 0.1]),
)
def test_it_is_the_most_that_fits_on_any_cluster_that_may_be(
    groups: list[tuple[int, int, int]], most_workers: int, cpus: float, gpus: float, share: float
) -> None:
    resources = Resources(cpus_per_trial=cpus, gpus_per_trial=gpus, share=share)
    kinds = [NodeGroup(resources=NodeResources(cpus=c, gpus=g), most=most) for c, g, most in groups]
    found = Growth(groups=kinds, most_workers=most_workers).most_trials(resources)
    nodes = [kind.resources for kind in kinds for _ in range(kind.most)]
    assert found == best(resources, nodes, most_workers)


def best(resources: Resources, nodes: list[NodeResources], count: int) -> int:
    """Returns the most trials that fit on so many of the nodes."""
    whole = resources.model_copy(update={"share": 1.0})
    slots = sum(sorted((alone(whole, node) for node in nodes), reverse=True)[:count])
    return max(1, math.floor(slots * resources.share + 1e-4)) if slots else 0


def alone(resources: Resources, node: NodeResources) -> int:
    try:
        return concurrent_trials(resources, nodes=[node])
    except ResourceError:
        return 0


def test_the_repositorys_cluster_file_says_what_its_workers_have() -> None:
    growth = growth_of_file(ROOT / "cluster.yaml")
    assert growth is not None
    assert growth.most_trials(Resources(gpus_per_trial=1)) == 8
    assert growth.most_trials(Resources(gpus_per_trial=0.25, share=0.5)) == 16
    assert growth.most_trials(Resources()) == 64
    # What the file does not say is not made up.
    assert growth.most_trials(Resources(gpus_per_trial=1, accelerator="A10G")) == 0
    assert growth.most_trials(Resources(gpus_per_trial="auto")) == 0


@pytest.mark.parametrize(
    "content",
    [
        "available_node_types: [",
        "- a list",
        "available_node_types: {worker: none}",
        "available_node_types: {worker: {max_workers: 3}}",
        "available_node_types: {worker: {resources: {GPU: 1}}}",
        "available_node_types: {worker: {resources: {CPU: many}}}",
        "available_node_types: {worker: {resources: {CPU: .inf}}}",
        "available_node_types: {worker: {resources: {CPU: 2, 1: 1}}}",
        "{head_node_type: head, available_node_types: {head: {}, worker: {resources: {CPU: 2}}}}",
        "provider: {type: local}",
    ],
)
def test_a_file_that_does_not_say_it_leaves_it_open(content: str, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(content)
    assert growth_of_file(path) is None
    assert growth_of_file(tmp_path / "none.yaml") is None


def test_a_head_counts_once_and_workers_of_its_kind_as_often_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "{max_workers: 9, head_node_type: n, available_node_types: {n: {resources: {CPU: 8}, max_workers: 4}}}"
    )
    growth = growth_of_file(tmp_path / "one.yaml")
    assert growth is not None
    assert growth.most_trials(Resources()) == 40


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--on", "cluster.yaml", "--runs", "/mnt/runs"), 12),
        (
            (
                "--on",
                "kubernetes",
                "--with",
                "image=me/c:1",
                "--with",
                "claim=runs",
                "--with",
                "workers=3",
                "--with",
                "cpus=2",
            ),
            6,
        ),
        (("--on", "http://127.0.0.1:8265", "--runs", "/mnt/runs"), None),
        (("--on", "cluster.yaml", "--runs", "/mnt/runs", "--set", f"{AT_ONCE}=2"), 2),
    ],
)
def test_launch_says_how_many_trials_run_at_once(
    options: tuple[str, ...], expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster: dict[str, Any] = {
        "max_workers": 3,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}},
            "small": {"resources": {"CPU": 2}},
            "large": {"resources": {"CPU": 5}, "max_workers": 2},
        },
    }
    Path("cluster.yaml").write_text(yaml.safe_dump(cluster))
    done = CliRunner().invoke(app, ["launch", "quickstart", *options, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert (f"--set {AT_ONCE}={expected} " in done.stdout) == (expected is not None)
    assert ("as many as fit once the cluster has all its nodes" in done.stderr) == (expected in (6, 12))
    assert ("auto counts the nodes that are there" in done.stderr) == (expected is None)
