"""Requests are answered in processes of a real Ray, also where some of them die."""

import json
import subprocess
import sys

import pytest

ASK = """
import json, os, tempfile
from pathlib import Path

import ray

from orchestrator.cluster.processes import LiveNode, answers, answers_of_nodes

SEEN = Path(tempfile.mkdtemp())

def dies_once(request):
    path = SEEN / "node once"
    if not path.exists():
        path.touch()
        os._exit(3)
    path.unlink()
    return request

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
    here = LiveNode(id=ray.get_runtime_context().get_node_id(), name="here", cpus=2.0)
    told["node"] = answers_of_nodes(dies_once, "asked again", nodes=[here], timeout_seconds=120)[here.id].value
    by_request = {}
    for path in SEEN.iterdir():
        by_request.setdefault(path.name.split()[0], set()).add(path.name.split()[1])
    print(json.dumps([list(told.items()), {name: sorted(pids) for name, pids in by_request.items()}]))
finally:
    ray.shutdown()
"""


FOLLOW = """
import json, os, tempfile
from pathlib import Path

import ray

from orchestrator.cluster.processes import LostProcessError, answers

SEEN = Path(tempfile.mkdtemp())

def make(request):
    path = SEEN / f"{request} {os.getpid()}"
    path.touch()
    return str(path), os.environ.get("AWS_SECRET_ACCESS_KEY")

def hand_over(path):
    request, pid = Path(path).name.split()
    # What a process has made is asked of that process, or of none.
    assert pid == str(os.getpid())
    tries = len(list(SEEN.glob(f"{request} *")))
    if request == "lost" or (request == "late" and tries == 1):
        os._exit(3)
    if request == "torn":
        raise OSError("no such file")
    return request.upper()

def follow_up(value, ask):
    path, secret = value
    content = yield from ask(hand_over, path)
    if content == "WRONG":
        raise ValueError("is not whole")
    return content, secret

os.environ["AWS_SECRET_ACCESS_KEY"] = "before"
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
os.environ["AWS_SECRET_ACCESS_KEY"] = "not-a-secret"
try:
    told = {}
    for answer in answers(make, ["good", "late", "lost", "wrong", "torn", "last"], cpus=1, follow_up=follow_up):
        if answer is not None:
            assert answer.request not in told
            told[answer.request] = answer.value or type(answer.error).__name__
    print(json.dumps([told, {name: len(list(SEEN.glob(f"{name} *"))) for name in told}]))
    # As of a driver that ends with an error: what it has not asked for any more is closed when Ray has gone.
    left = answers(make, ["unread", "unread too"], cpus=1)
    next(left)
    ray.shutdown()
    left.close()
    assert not ray.is_initialized()
finally:
    ray.shutdown()
"""


@pytest.mark.slow
def test_what_a_process_has_made_is_made_again_if_the_process_is_lost_before_it_is_handed_over() -> None:
    result = subprocess.run([sys.executable, "-c", FOLLOW], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    (answer,) = [line for line in result.stdout.splitlines() if line.startswith("[{")]
    found, processes = json.loads(answer)
    # Processes have the driver's credentials, also where the cluster was started with others.
    for name in ("good", "late", "last"):
        assert found.pop(name) == [name.upper(), "not-a-secret"]
    assert found == {"lost": "LostProcessError", "wrong": "ValueError", "torn": "LostProcessError"}
    assert processes == {"good": 1, "late": 2, "lost": 3, "wrong": 1, "torn": 3, "last": 1}


@pytest.mark.slow
def test_each_request_has_its_answer_and_one_that_kills_its_process_costs_no_other_its_own() -> None:
    result = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    # Ray may write of a process that died, too.
    (answer,) = [line for line in result.stdout.splitlines() if line.startswith("[[")]
    told, processes = json.loads(answer)
    found = {str(request): value for request, value in told}
    # A node whose process died is asked again in another one.
    assert found.pop("node") == "asked again"
    assert found.pop("dies") in {"ActorDiedError", "ActorUnavailableError"}
    assert found == {"1": 2, "2": 4, "3": 6, "4": 8, "5": 10, "fails": "LookupError"}
    # Begun again twice, each time in a new process.
    assert len(processes.pop("dies")) == 3
    # Two places, and a new process for the one that was given up: those that answer go on answering.
    assert {len(pids) for pids in processes.values()} == {1}
    assert len({pid for pids in processes.values() for pid in pids}) <= 4
