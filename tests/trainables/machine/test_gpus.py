"""How much memory GPUs have, and what a share of one comes to; the GPUs are what a faked nvidia-smi tells."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.machine.gpus import (
    CONTEXT_MIB,
    MARGIN,
    GpuUse,
    gpu_memory_mib,
    gpu_use,
    largest_packing,
    share_limit_mib,
    share_of,
    visible_memory_mib,
)

TWO = {"0": 16_000, "GPU-aa": 16_000, "1": 8_000, "GPU-bb": 8_000}


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a script in nvidia-smi's place; without one there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(script):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '0, GPU-aa, 16000'; echo '1, GPU-bb, 8000'", TWO),
        ("echo '0, GPU-aa, [N/A]'; echo '1, GPU-bb, 8000'", {"1": 8_000, "GPU-bb": 8_000}),
        ("echo 'No devices were found'", {}),
        ("echo 'NVIDIA-SMI has failed'; exit 9", {}),
        ('[ "$*" = "--query-gpu=index,uuid,memory.total --format=csv,noheader,nounits" ] && echo 0, GPU-aa, 7',
         {"0": 7, "GPU-aa": 7}),
    ],
)  # fmt: skip
def test_gpus_are_told_by_index_and_uuid(script, expected, nvidia_smi):
    nvidia_smi(script)
    assert gpu_memory_mib() == expected


def test_a_machine_without_nvidia_smi_tells_of_none(nvidia_smi):
    assert gpu_memory_mib() == {}
    assert gpu_use() is None


H200 = GpuUse(index=0, name="NVIDIA H200", busy_percent=87, used_mib=20_480, total_mib=143_771)
PART = GpuUse(index=1, name="NVIDIA A100, 80 GB", busy_percent=None, used_mib=None, total_mib=81_920)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '0, 87, 20480, 143771, NVIDIA H200'; echo '1, [N/A], [N/A], 81920, NVIDIA A100, 80 GB'", [H200, PART]),
        ("echo 'No devices were found'", None),
        ("echo 'NVIDIA-SMI has failed'; exit 9", None),
        ("printf '\\377\\376'", None),
        ("true", None),
        ('[ "$*" = "--query-gpu=index,utilization.gpu,memory.used,memory.total,name --format=csv,noheader,nounits" ] '
         "&& echo '0, 87, 20480, 143771, NVIDIA H200'", [H200]),
    ],
)  # fmt: skip
def test_what_gpus_are_at_is_told_by_the_driver(script, expected, nvidia_smi):
    nvidia_smi(script)
    assert gpu_use() == expected


@pytest.mark.parametrize(
    ("memory", "environment", "expected"),
    [
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-aa"}, 16_000),
        (TWO, {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, 16_000),
        (TWO, {"CUDA_VISIBLE_DEVICES": "0,1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, 8_000),
        # Which one CUDA calls 0 is not known: what holds for the smallest holds for all.
        (TWO, {"CUDA_VISIBLE_DEVICES": "0"}, 8_000),
        (TWO, {}, 8_000),
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-cc"}, None),
        (TWO, {"CUDA_VISIBLE_DEVICES": "MIG-cc", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, None),
        (TWO, {"CUDA_VISIBLE_DEVICES": "MIG-cc"}, None),
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-a"}, 16_000),
        # Both, as far as that tells.
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-"}, 8_000),
        ({}, {"CUDA_VISIBLE_DEVICES": "0"}, None),
    ],
)
def test_a_process_goes_by_the_gpus_that_it_sees(memory, environment, expected):
    assert visible_memory_mib(memory, environment=environment) == expected


@given(total=st.integers(2_000, 200_000), count=st.integers(1, 16))
def test_shares_of_a_gpu_and_what_cuda_takes_fit_into_it(total, count):
    limit = share_limit_mib(share_of(count), total_mib=total)
    assert limit > 0
    if limit >= CONTEXT_MIB:
        assert count * (limit + CONTEXT_MIB) <= total + count


@given(need=st.floats(1, 100_000), total=st.integers(2_000, 200_000), most=st.integers(1, 20))
def test_as_many_trials_are_packed_as_fit_and_no_more(need, total, most):
    def left(count):
        """What nobody takes, from what there is."""
        limit = share_limit_mib(share_of(count), total_mib=total)
        return total - count * (limit + CONTEXT_MIB) if limit >= need * MARGIN else -math.inf

    count = largest_packing(need, total_mib=total, most=most)
    assert 1 <= count <= most
    assert left(count) >= 0 or count == 1
    assert count in (most, 16) or left(count + 1) < 0 or share_of(count + 1) * total - CONTEXT_MIB < need * MARGIN
