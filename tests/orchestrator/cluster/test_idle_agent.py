"""What waits in an agent's place takes nothing, becomes the agent when it is asked for, and ends with the daemon."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestrator.cluster import idle_agent

#: Binds the port that it is told, as Ray's agent does, and answers one caller.
AGENT = """
import json, os, socket, sys
port = int(next(word for word in sys.argv if word.startswith("--runtime-env-agent-port=")).partition("=")[2])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other, socket.socket() as listener:
    other.bind(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(16)
    caller, _ = listener.accept()
    heard = caller.recv(100).decode()
    told = {"heard": heard, "arguments": sys.argv[1:], "pid": os.getpid(), "first": sys.path[0], "name": __name__}
    caller.sendall(json.dumps(told).encode())
    caller.close()
"""
#: A daemon that is soon gone.
DAEMON = """
import subprocess, sys, time
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
time.sleep(2)
assert process.poll() is None
print(process.pid)
"""
#: A study's Ray: who stands in the agent's place before and after a task asks for an environment.
ASKING = """
import json, psutil, ray
from orchestrator.cluster.connection import ray_session
from orchestrator.study.sections import Resources

def standing():
    children = psutil.Process().children(recursive=True)
    return {each.pid: " ".join(each.cmdline()) for each in children if "runtime_env" in " ".join(each.cmdline())}

def in_the_place():
    return {pid: text for pid, text in standing().items() if "--raylet_socket_name" not in text}

with ray_session(Resources(cpus=1)):
    (before,) = in_the_place()
    @ray.remote(runtime_env={"env_vars": {"ASKED": "yes"}})
    def asked():
        import os
        return os.environ["ASKED"]
    answer = ray.get(asked.remote(), timeout=60)
    print(json.dumps([answer, before, psutil.Process(before).cmdline()[0]]))
"""


def awaited(found: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not found() and time.monotonic() < until:
        time.sleep(0.02)
    assert found()


def waiting_for(file: Path, program: Path) -> list[str]:
    agent = [sys.executable, "-u", str(program), "--node=1", "--runtime-env-agent-port=0"]
    return [sys.executable, "-I", "-S", str(idle_agent.__file__), "127.0.0.1", str(file), *agent]


def test_who_asks_first_is_answered_by_the_agent_in_the_same_process_at_the_same_port(tmp_path: Path) -> None:
    program, file = tmp_path / "agent of ray.py", tmp_path / "port"
    program.write_text(AGENT, encoding="utf-8")
    with subprocess.Popen(waiting_for(file, program)) as process:
        awaited(file.exists)
        port = int(file.read_text())
        assert file.stat().st_mode & 0o777 == 0o600
        with socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
            # Before the agent is there.
            caller.sendall(b"who is there?")
            told = json.loads(caller.makefile().read())
    assert told == {
        "heard": "who is there?",
        "arguments": ["--node=1", f"--runtime-env-agent-port={port}"],
        "pid": process.pid,
        "first": str(tmp_path),
        "name": "__main__",
    }
    assert process.returncode == 0


def test_a_file_that_somebody_else_put_in_the_way_is_left_alone(tmp_path: Path) -> None:
    file, other = tmp_path / "port", tmp_path / "other"
    other.write_text("kept")
    file.with_name("port.new").symlink_to(other)
    done = subprocess.run(waiting_for(file, tmp_path / "agent.py"), stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode != 0
    assert b"FileExistsError" in done.stderr
    assert other.read_text() == "kept"


@pytest.mark.parametrize("kind", ["idle", "until asked"])
def test_it_ends_with_the_daemon(tmp_path: Path, kind: str) -> None:
    command = waiting_for(tmp_path / "port", tmp_path / "agent.py")
    words = [sys.executable, "-c", DAEMON, *(command if kind == "until asked" else command[:4])]
    pid = int(subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout)
    awaited(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_a_task_with_an_environment_of_its_own_gets_it_from_the_agent_in_the_idle_ones_place() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    result = subprocess.run(
        [sys.executable, "-c", ASKING], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    answer, _, name = json.loads(result.stdout.splitlines()[-1])
    assert (answer, name) == ("yes", "ray::RuntimeEnvAgent")
