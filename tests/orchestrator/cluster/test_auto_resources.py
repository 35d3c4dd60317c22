"""What `auto` becomes in a study's resources; GPUs are Ray's logical ones and a faked nvidia-smi."""

import math
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster import auto_resources as settled
from orchestrator.cluster.auto_resources import device_spec, packed_share, resolve_auto
from orchestrator.cluster.resources import NodeResources, pins_cpus, useful_packing
from orchestrator.errors import ResourceError
from orchestrator.study.loading import parse_study
from orchestrator.study.sections import Resources
from orchestrator.study.spec import StudySpec
from search_spaces import Variant
from trainables.data.cache.in_process import prepare_in_process
from trainables.errors import DataError
from trainables.worker.memory_probe import StepMemory, probe_in_process

CPU_NODE, GPU_NODE = NodeResources(cpus=8, gpus=0), NodeResources(cpus=8, gpus=2)
GPUS = {"0": 16_000, "1": 16_000}


def study(**resources: object) -> StudySpec:
    space = {"family": "sequential", "params": {"filters": {"int": [4, 64]}}}
    return parse_study({"name": "s", "data": {"source": "digits"}, "space": space, "resources": resources}, base=Path())


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settles a study's resources; returns them, what was told, and the variants that were tried."""

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def go(
        spec: StudySpec, *, nodes: list[NodeResources], memory: Any = None, need: Any = None, is_local: bool = True
    ) -> Any:
        tried: list[Variant] = []
        told: list[str] = []

        def probe(variants: list[Variant], **others: object) -> StepMemory:
            tried.extend(variants)
            if isinstance(need, Exception):
                raise need
            return StepMemory(mib=need, is_measured=False)

        monkeypatch.setattr(settled, "gpu_memory_mib", lambda: memory or {})
        monkeypatch.setattr(settled, "probe_in_process", probe)
        dataset: Any = None
        result = resolve_auto(spec, dataset=dataset, nodes=nodes, is_local=is_local, notify=told.append)
        return result.resources, told, tried

    return go


CASES = [
    ("no GPUs", [CPU_NODE], {}, 1, 0, "there are no GPUs"),
    ("nothing said of memory", [GPU_NODE], {}, 1, 1, "nothing says that two trials fit"),
    ("CPUs for four", [GPU_NODE], GPUS, 100, 0.25, "takes 100 of 16,000 MiB by count, and no more than 4 would run"),
    ("memory for three", [GPU_NODE], GPUS, 3_200, 0.3333, "takes 3,200 of 16,000 MiB by count"),
    ("the smallest GPU counts", [GPU_NODE], {"0": 80_000, "1": 8_000}, 5_000, 1, "of 8,000 MiB"),
    ("none could be trained", [GPU_NODE], GPUS, 0, 1, "none of the variants tried could be trained"),
    ("larger than a GPU", [GPU_NODE], GPUS, math.inf, 1, "takes more than the 16,000 MiB"),
    ("no answer", [GPU_NODE], GPUS, DataError("the process crashed"), 1, "the process crashed"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_as_many_trials_share_a_gpu_as_fit(case: Any, settle: Any) -> None:
    _, nodes, memory, need, share, why = case
    resources, told, _ = settle(study(gpus_per_trial="auto"), nodes=nodes, memory=memory, need=need)
    assert resources.gpus_per_trial == resources.gpu_share == share
    assert told[-1].startswith(f"gpus_per_trial: auto is {share:g}: ")
    assert why in told[-1]


@pytest.mark.parametrize("is_local", [True, False])
def test_a_need_that_was_counted_beside_gpus_is_told_with_the_way_out(is_local: bool, settle: Any) -> None:
    _, told, _ = settle(study(gpus_per_trial="auto"), nodes=[GPU_NODE], memory=GPUS, need=1, is_local=is_local)
    # The driver of a cluster may well have none itself.
    advice = ["gpus_per_trial: TensorFlow sees no GPU here; install CUDA's libraries with: python -m pip install"]
    assert [line[: len(advice[0])] for line in told[:-1]] == (advice if is_local else [])


def test_only_the_gpus_that_are_visible_count(settle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bb")
    memory = {"0": 2_000, "GPU-aa": 2_000, "1": 16_000, "GPU-bb": 16_000}
    _, told, _ = settle(study(gpus_per_trial="auto"), nodes=[GPU_NODE], memory=memory, need=100)
    assert "100 of 16,000 MiB" in told[-1]


def test_a_cluster_whose_gpus_are_not_up_yet_is_asked_for_a_number(settle: Any) -> None:
    spec = study(gpus_per_trial="auto", max_concurrent=8)
    with pytest.raises(ResourceError, match=r"resources\.gpus_per_trial: auto .* give a number here too"):
        settle(spec, nodes=[CPU_NODE], is_local=False)
    assert settle(spec, nodes=[CPU_NODE])[0].gpus_per_trial == 0
    assert settle(study(gpus_per_trial="auto"), nodes=[CPU_NODE], is_local=False)[0].gpus_per_trial == 0


def test_pinning_that_cannot_be_had_is_told(settle: Any) -> None:
    resources, told, _ = settle(study(pin_cpus=True), nodes=[NodeResources(cpus=100_000, gpus=0)])
    assert resources.pin_cpus is False
    assert told[0].startswith("pin_cpus: workers are not pinned, as more CPUs are shared out than the ")


def test_different_variants_of_the_study_are_tried(settle: Any) -> None:
    _, _, tried = settle(study(gpus_per_trial="auto"), nodes=[GPU_NODE], memory=GPUS, need=1)
    assert len({variant.variant_id for variant in tried}) == settled.NUM_PROBED


def test_a_number_is_left_as_it_is_without_trying_anything(settle: Any) -> None:
    resources, told, tried = settle(study(gpus_per_trial=0.5), nodes=[GPU_NODE], memory=GPUS, need=1)
    assert (resources.gpus_per_trial, told, tried) == (0.5, [], [])


def test_what_is_settled_says_nothing_about_results(settle: Any) -> None:
    spec = study(gpus_per_trial="auto", pin_cpus=True)
    assert spec.study_id == study().study_id


@pytest.mark.parametrize(
    ("setting", "node_cpus", "is_local", "expected"),
    [
        ("auto", 4, True, False),
        (False, 4, True, False),
        (True, 4, True, True),
        (True, 2, True, True),
        (True, 16, True, False),  # more are shared out than there are
        (True, 64, False, True),
    ],
)
def test_workers_are_pinned_where_it_is_asked_for_and_cores_suffice(
    setting: Any, node_cpus: float, is_local: bool, expected: bool
) -> None:
    resources = Resources(pin_cpus=setting)
    nodes = [NodeResources(cpus=node_cpus, gpus=0)]
    assert pins_cpus(resources, nodes=nodes, machine_cpus=4, is_local=is_local) is expected
    settled_resources = resources.model_copy(update={"pin_cpus": expected})
    assert device_spec(settled_resources).pin_cpus is expected


def test_packing_counts_the_cpus_beside_a_gpu() -> None:
    nodes = [CPU_NODE, GPU_NODE, NodeResources(cpus=1, gpus=1)]
    assert useful_packing(Resources(cpus_per_trial=0.5), nodes=nodes) == 8
    assert useful_packing(Resources(cpus_per_trial=16), nodes=nodes) == 1


@pytest.mark.parametrize(("is_measured", "how"), [(True, "as measured"), (False, "by count")])
def test_it_is_told_how_the_need_is_known(is_measured: bool, how: str) -> None:
    assert packed_share(StepMemory(mib=10, is_measured=is_measured), total_mib=8_000, most=1)[1].count(how) == 1


@pytest.mark.slow
def test_the_largest_variant_decides_and_infeasible_ones_have_no_say(tmp_path: Any) -> None:
    dataset = prepare_in_process(study().data.model_copy(update={"cache_dir": str(tmp_path)}), 0)

    def need(*tried: tuple[str, int]) -> float:
        variants = [
            Variant(family=family, params={"batch_size": 64, "num_stages": 9, "filters": filters}, seed=0)
            if family == "residual"
            else Variant(family=family, params={"batch_size": 64, "filters": filters}, seed=0)
            for family, filters in tried
        ]
        news: list[tuple[str, int, int]] = []
        memory = probe_in_process(
            variants, dataset=dataset, limits={}, study_dir="", on_progress=lambda *told: news.append(told)
        )
        assert memory.is_measured is False  # there is no GPU here
        assert news[-1][1:] == (len(tried), len(tried))
        return memory.mib

    # Nine stages cannot halve images of 8x8.
    small = need(("sequential", 4), ("residual", 64))
    assert dataset.decoded_bytes / 2**20 < small < need(("sequential", 64), ("sequential", 4))
