"""What `doctor` says of cores, GPUs and Ray's token; NVIDIA's commands are faked."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster import doctor as doctor_devices
from orchestrator.cluster.doctor import Level, check_cores, check_gpus, check_token


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts scripts in the places of commands; there are no others."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(**scripts: str) -> None:
        for name, script in scripts.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    return install


TWO_GPUS = "echo 0, GPU-aa, 16384; echo 1, GPU-bb, 24576"
#: As the command answers where its daemon runs: it reads what it is asked from stdin.
RUNNING = 'read asked; [ "$asked" = get_server_list ]'
NOT_RUNNING = "echo Cannot find MPS control daemon process; exit 1"


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [
        ({}, "trials that share a GPU take turns: nvidia-cuda-mps-control, which NVIDIA's driver brings, is not on"),
        ({"nvidia_cuda_mps_control": RUNNING}, "MPS is running: trials that share a GPU"),
        ({"nvidia_cuda_mps_control": NOT_RUNNING}, "start it before the study with: nvidia-cuda-mps-control -d"),
    ],
)
def test_trials_that_share_a_gpu_are_advised_of_mps(scripts: dict[str, str], expected: str, commands: Any) -> None:
    commands(nvidia_smi=TWO_GPUS, **scripts)
    check = check_gpus()
    assert check is not None
    assert (check.name, check.level) == ("gpus", Level.OK)
    assert check.finding.startswith("16 GiB, 24 GiB; ")
    assert expected in check.finding


@pytest.mark.parametrize("scripts", [{}, {"nvidia_smi": "echo No devices were found"}])
def test_nothing_is_said_of_gpus_where_there_are_none(scripts: dict[str, str], commands: Any) -> None:
    commands(nvidia_cuda_mps_control=NOT_RUNNING, **scripts)
    assert check_gpus() is None


def test_a_driver_that_fails_is_told_and_not_taken_for_none(commands: Any) -> None:
    commands(nvidia_smi="echo NVIDIA-SMI has failed; exit 9")
    check = check_gpus()
    assert check is not None
    assert check.level == Level.WARNING
    assert check.finding.startswith("nvidia-smi fails (NVIDIA-SMI has failed); mend NVIDIA's driver")


def test_the_cores_that_workers_may_be_pinned_to_are_told_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_devices, "numa_nodes", lambda: [[0, 2, 1, 3], [8, 9]])
    finding = check_cores().finding
    assert finding.startswith(
        "2 NUMA nodes, cores 0-3; 8-9; with resources.pin_cpus: true each worker keeps to its own"
    )


def test_a_token_that_others_may_read_is_a_warning_with_its_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "auth_token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    assert check_token() is None
    token.write_text("secret")
    for mode, level, said in ((0o644, Level.WARNING, f"chmod 600 {token}"), (0o600, Level.OK, "only its owner")):
        token.chmod(mode)
        check = check_token()
        assert check is not None
        assert check.level is level
        assert said in check.finding
        assert "secret" not in check.finding
