"""What only a card shows: `python -m pytest tests/gpu`, on a machine with an NVIDIA GPU and convfleet's extra `gpu`.

Ids, memory limits as nvidia-smi sees them, what `auto` packs, mixed precision, equal numbers of two runs and of one
that was killed, and several trials on a card under MPS.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cards import Card
from command_lines import CommandLine

from trainables.machine.gpus import CONTEXT_MIB, share_limit_mib

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS, MPS = 4, "nvidia-cuda-mps-control"
#: Parameters with which four epochs are enough.
GOOD = {"learning_rate": 0.01, "filters": 16}
#: Kernels of CUDA add up in any order otherwise.
EXACT = {"TF_DETERMINISTIC_OPS": "1"}


def study(convfleet: CommandLine, name: str, *, gpus_per_trial: float | str, trials: int = 4, **params: Any) -> str:
    """Writes a study of small networks on the digits."""
    more = {"learning_rate": {"float": [1e-3, 1e-2], "log": True}, **params}
    return convfleet.write_study(
        name,
        space={"family": "sequential", "params": {"num_blocks": 2, "filters": {"choice": [8, 16]}, **more}},
        search={"algorithm": "random", "trials": trials},
        schedule={"algorithm": "none", "max_epochs": EPOCHS},
        resources={"gpus_per_trial": gpus_per_trial},
    )


def workers(convfleet: CommandLine, name: str) -> list[dict[str, Any]]:
    """Returns what each trial's worker said of itself with its first report."""
    reports = convfleet.records(name, "epoch_reported")
    return [record["worker"] for record in reports if record["report"]["epoch"] == 1]


@pytest.mark.parametrize("share", [1, 0.5, 0.25, "auto"])
def test_every_trial_trains_on_the_card_within_its_share(
    card: Card, convfleet: CommandLine, share: float | str
) -> None:
    file = study(convfleet, "shares", gpus_per_trial=share)
    with card.looked_at():
        convfleet.run("run", file)
    assert len(convfleet.reports("shares")) == 4 * EPOCHS
    assert [record["text"] for record in convfleet.records("shares", "trial_noted")] == []
    found = workers(convfleet, "shares")
    assert len(found) == 4
    for worker in found:
        assert len(worker["gpu_ids"]) == 1
        assert worker["visible_gpus"] == worker["gpu_ids"][0]
        limit = share_limit_mib(worker["gpus"], total_mib=card.total_mib) if worker["gpus"] < 1 else card.total_mib
        assert 0 < card.most_mib[worker["worker_pid"]] <= limit + CONTEXT_MIB
    assert {worker["gpus"] for worker in found} == ({share} if share != "auto" else {found[0]["gpus"]})


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_each_precision_learns(card: Card, convfleet: CommandLine, precision: str) -> None:
    convfleet.run("run", study(convfleet, "learns", gpus_per_trial=1, trials=1, precision=precision, **GOOD))
    reports = convfleet.reports("learns")
    assert len(reports) == EPOCHS
    assert max(metrics["val_accuracy"] for metrics in reports.values()) > 0.8


def test_two_runs_and_one_that_was_killed_have_the_same_numbers(card: Card, convfleet: CommandLine) -> None:
    convfleet.environment.update(EXACT)
    for name in ("first", "second"):
        convfleet.run("run", study(convfleet, name, gpus_per_trial=0.5))
    assert convfleet.reports("second") == convfleet.reports("first")
    process = convfleet.start("run", study(convfleet, "killed", gpus_per_trial=0.5))
    convfleet.wait_for("killed", "epoch_reported", 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    convfleet.run("resume", "runs/killed")
    assert convfleet.reports("killed") == convfleet.reports("first")


@pytest.fixture
def mps(card: Card, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of processes that share the card through NVIDIA's MPS, which runs meanwhile."""
    if shutil.which(MPS) is None:
        pytest.skip(f"sharing a card through MPS needs {MPS}, which comes with NVIDIA's driver")
    folders = {"CUDA_MPS_PIPE_DIRECTORY": tmp_path / "pipe", "CUDA_MPS_LOG_DIRECTORY": tmp_path / "log"}
    for folder in folders.values():
        folder.mkdir()
    variables = {name: str(folder) for name, folder in folders.items()}
    begun = subprocess.run([MPS, "-d"], env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if begun.returncode:
        pytest.skip(f"{MPS} does not start here: {begun.stderr.strip()}")
    yield variables
    subprocess.run([MPS], input="quit\n", env={**os.environ, **variables}, text=True, check=False, timeout=60)


def test_trials_that_share_the_card_through_mps_have_the_numbers_of_ones_that_take_turns(
    mps: dict[str, str], convfleet: CommandLine
) -> None:
    convfleet.environment.update(EXACT)
    convfleet.run("run", study(convfleet, "turns", gpus_per_trial=0.5))
    convfleet.environment.update(mps)
    convfleet.run("run", study(convfleet, "together", gpus_per_trial=0.5))
    assert convfleet.reports("together") == convfleet.reports("turns")
