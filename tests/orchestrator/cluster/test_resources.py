"""As many trials run at once as fit on the nodes, and a request that nothing can satisfy is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.cluster.resources import NodeResources, concurrent_trials, trial_request
from orchestrator.errors import ResourceError
from orchestrator.study.sections import Resources

TINY = 1e-6


H100 = {"accelerator_type:H100": 1.0}


def node(cpus: float, gpus: float = 0, others: dict[str, float] | None = None) -> NodeResources:
    return NodeResources(cpus=cpus, gpus=gpus, others=others or {})


CASES = [
    ("one on one", {}, [node(1)], 1),
    ("a trial a CPU", {}, [node(16)], 16),
    ("CPUs that are left over", {"cpus_per_trial": 3}, [node(16)], 5),
    ("half a CPU each", {"cpus_per_trial": 0.5}, [node(2)], 4),
    ("a tenth of a CPU each", {"cpus_per_trial": 0.1}, [node(1)], 10),
    ("a third of a CPU each", {"cpus_per_trial": 0.3333}, [node(1)], 3),
    ("shares that do not divide in binary", {"cpus_per_trial": 0.14}, [node(7)], 50),
    ("GPUs left idle", {}, [node(4, 8)], 4),
    ("a GPU each", {"gpus_per_trial": 1}, [node(16, 4)], 4),
    ("GPUs without CPUs", {"gpus_per_trial": 1}, [node(2, 4)], 2),
    ("two GPUs each", {"gpus_per_trial": 2}, [node(16, 5)], 2),
    ("half a GPU each", {"gpus_per_trial": 0.5}, [node(16, 4)], 8),
    ("a third of a GPU each", {"gpus_per_trial": 0.3333}, [node(16, 2)], 6),
    ("a tenth of a GPU each", {"gpus_per_trial": 0.1}, [node(16, 1)], 10),
    ("0.6 GPUs never share one", {"gpus_per_trial": 0.6}, [node(16, 3)], 3),
    ("two nodes", {}, [node(4), node(2)], 6),
    ("no trial straddles nodes", {"cpus_per_trial": 3}, [node(4), node(2)], 1),
    ("no trial straddles GPU nodes", {"gpus_per_trial": 2}, [node(8, 1), node(8, 3)], 1),
    ("a node without CPUs", {}, [node(0), node(2)], 2),
    ("fewer than fit", {"max_concurrent": 3}, [node(16)], 3),
    ("more than fit", {"max_concurrent": 99}, [node(16)], 16),
    ("half of the cluster", {"share": 0.5}, [node(4), node(3)], 3),
    ("a share that is less than a trial", {"share": 0.1}, [node(2)], 1),
    ("all, in binary", {"share": 0.1}, [node(70)], 7),
    ("the fewer of both", {"share": 0.5, "max_concurrent": 2}, [node(16)], 2),
    ("only where the GPU is", {"gpus_per_trial": 1, "accelerator": "H100"}, [node(8, 4, H100), node(8, 4)], 4),
    ("on nodes with scratch space", {"custom": {"scratch": 2}}, [node(8, 0, {"scratch": 5}), node(8)], 2),
    ("a part of a resource", {"custom": {"licence": 0.5}}, [node(8, 0, {"licence": 1})], 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_as_many_trials_run_as_fit(case: tuple[str, dict[str, object], list[NodeResources], int]) -> None:
    _, request, nodes, expected = case
    assert concurrent_trials(Resources.model_validate(request), nodes=nodes) == expected


requests = st.builds(
    Resources,
    cpus_per_trial=st.integers(1, 9) | st.sampled_from([0.1, 0.25, 0.3333, 0.5, 0.9]),
    gpus_per_trial=st.integers(0, 4) | st.sampled_from([0.1, 0.25, 0.3333, 0.5, 0.6, 0.9]),
    max_concurrent=st.just("auto") | st.integers(1, 20),
)
nodes_of_a_cluster = st.lists(st.builds(node, st.integers(0, 64), st.integers(0, 8)), max_size=4)


def most_that_fit(resources: Resources, place: NodeResources) -> int:
    """Returns how many trials fit on a node, found by putting one after another onto it, each on GPUs of its own."""
    cpus, gpus, count = float(place.cpus), [1.0] * int(place.gpus), 0
    while cpus >= resources.cpus_per_trial - TINY:
        share = min(resources.gpus_per_trial, 1)
        free = [index for index, left in enumerate(gpus) if share and left >= share - 1e-3]
        num_gpus = math.ceil(resources.gpus_per_trial)
        if len(free) < num_gpus:
            break
        for index in free[:num_gpus]:
            gpus[index] -= share
        cpus -= resources.cpus_per_trial
        count += 1
    return count


@settings(max_examples=300, deadline=None)
@given(resources=requests, nodes=nodes_of_a_cluster)
def test_never_more_trials_run_than_fit_and_a_fraction_lies_on_one_gpu(
    resources: Resources, nodes: list[NodeResources]
) -> None:
    fitting = sum(most_that_fit(resources, place) for place in nodes)
    if fitting == 0:
        with pytest.raises(ResourceError):
            concurrent_trials(resources, nodes=nodes)
        return
    allowed = fitting if resources.max_concurrent == "auto" else min(fitting, resources.max_concurrent)
    assert concurrent_trials(resources, nodes=nodes) == allowed


@pytest.mark.parametrize(
    ("request_", "nodes", "has"),
    [
        ({"gpus_per_trial": 1}, [node(8)], "there are 8 CPUs and 0 GPUs"),
        ({"cpus_per_trial": 16}, [node(8, 1), node(4)], "there are 8 CPUs and 1 GPUs; 4 CPUs and 0 GPUs"),
        ({"cpus_per_trial": 1}, [], "nothing"),
        ({"gpus_per_trial": 4}, [node(8, 2), node(8, 2)], "8 CPUs and 2 GPUs; 8 CPUs and 2 GPUs"),
        ({"cpus_per_trial": 1e308}, [node(8)], "there are 8 CPUs"),
        ({"accelerator": "A100"}, [node(8, 1, H100)], "there are 8 CPUs and 1 GPUs and accelerator H100"),
        ({"custom": {"scratch": 9}}, [node(8, 0, {"scratch": 5})], "8 CPUs and 0 GPUs and 5 scratch"),
    ],
)
def test_impossible_request_is_refused_with_what_there_is(
    request_: dict[str, object], nodes: list[NodeResources], has: str
) -> None:
    resources = Resources.model_validate(request_)
    with pytest.raises(ResourceError) as caught:
        concurrent_trials(resources, nodes=nodes)
    message = str(caught.value)
    assert f"cpus_per_trial {resources.cpus_per_trial:g} and gpus_per_trial {resources.gpus_per_trial:g}" in message
    assert has in message
    assert "; lower the request, or run on a larger machine" in message


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, {"CPU": 1.0}),
        ({"cpus_per_trial": 2, "gpus_per_trial": 0}, {"CPU": 2.0}),
        ({"gpus_per_trial": 0.5}, {"CPU": 1.0, "GPU": 0.5}),
        ({"accelerator": "H100"}, {"CPU": 1.0, "accelerator_type:H100": 0.001}),
        ({"custom": {"scratch": 2}}, {"CPU": 1.0, "scratch": 2.0}),
    ],
)
def test_request_without_gpus_does_not_name_any(request_: dict[str, object], expected: dict[str, float]) -> None:
    assert trial_request(Resources.model_validate(request_)) == expected


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"custom": {"GPU": 1}}, "GPU is none of the cluster's own resources; use gpus_per_trial"),
        ({"custom": {"scratch": 0}}, "greater than 0"),
        ({"accelerator": "two words"}, "should match pattern"),
        ({"share": 0}, "greater than 0"),
        ({"share": 1.5}, "less than or equal to 1"),
    ],
)
def test_request_that_makes_no_sense_is_refused(request_: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Resources.model_validate(request_)
