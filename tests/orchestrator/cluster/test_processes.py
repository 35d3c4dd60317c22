"""Requests are answered in processes of a real Ray, also where some of them die."""

import json
import subprocess
import sys

import pytest

ASK = """
import json, os, tempfile
from pathlib import Path

import ray

from orchestrator.cluster.processes import answers

SEEN = Path(tempfile.mkdtemp())

def double(request):
    (SEEN / f"{request} {os.getpid()}").touch()
    if request == "dies":
        os._exit(3)
    if request == "fails":
        raise LookupError("nothing there")
    return 2 * request

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
try:
    told = {}
    for answer in answers(double, [1, "dies", 2, "fails", 3, 4, 5], cpus=1):
        if answer is not None:
            assert answer.request not in told
            told[answer.request] = answer.value or type(answer.error).__name__
    by_request = {}
    for path in SEEN.iterdir():
        by_request.setdefault(path.name.split()[0], set()).add(path.name.split()[1])
    print(json.dumps([list(told.items()), {name: sorted(pids) for name, pids in by_request.items()}]))
finally:
    ray.shutdown()
"""


@pytest.mark.slow
def test_each_request_has_its_answer_and_one_that_kills_its_process_costs_no_other_its_own() -> None:
    result = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    # Ray may write of a process that died, too.
    (answer,) = [line for line in result.stdout.splitlines() if line.startswith("[[")]
    told, processes = json.loads(answer)
    found = {str(request): value for request, value in told}
    assert found.pop("dies") in {"ActorDiedError", "ActorUnavailableError"}
    assert found == {"1": 2, "2": 4, "3": 6, "4": 8, "5": 10, "fails": "LookupError"}
    # Begun again twice, each time in a new process.
    assert len(processes.pop("dies")) == 3
    # Two places, and a new process for the one that was given up: those that answer go on answering.
    assert {len(pids) for pids in processes.values()} == {1}
    assert len({pid for pids in processes.values() for pid in pids}) <= 4
