"""A forked worker is what a program of its own would have been, and a worker comes about without the server as well."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.init import workers_ahead
from orchestrator.errors import InputError
from orchestrator.forking import launcher, session
from orchestrator.forking.ahead import import_ahead, import_with_command
from orchestrator.forking.session import ForkServer, fork_server, server_ahead
from orchestrator.study.sections import Resources

ROOT = Path(__file__).parents[3]
#: Stands for Ray's program for workers: says what its process is.
PROGRAM = """
import json, os, random, resource, signal, subprocess, sys
from pathlib import Path

import numpy as np
from ray._raylet import JobID, PlacementGroupID

import helper

print(json.dumps({
    "arguments": sys.argv,
    "name": __name__,
    "helper": helper.WORD,
    # A program of its own is started through bash, which sets these, and takes away its prompts.
    "environment": {
        name: os.environ[name] for name in os.environ.keys() - {"_", "SHLVL", "PWD", "OLDPWD", "PS1", "PS2"}
    },
    "folder": os.getcwd(),
    "umask": os.umask(0),
    "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "blocked": sorted(int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "oom_score_adj": Path("/proc/self/oom_score_adj").read_text(),
    "leads": os.getpgid(0) == os.getpid(),
    "child_ends_with": subprocess.run([sys.executable, "-c", "raise SystemExit(7)"]).returncode,
    "input": sys.stdin.read(),
    "is_fork": "tensorflow" in sys.modules,
    "random": [random.random(), float(np.random.random()), PlacementGroupID.of(JobID.from_int(1)).hex()],
    "pid": os.getpid(),
}))
print("an error", file=sys.stderr)
"""
#: What differs between any two processes.
OF_ITS_OWN = ("is_fork", "random", "pid")


def limit_and_mask() -> None:
    """Gives a launcher what Ray gives its own processes, after a fork."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGINT, signal.SIGUSR1])
    Path("/proc/self/oom_score_adj").write_text("700", encoding="ascii")
    os.umask(0o027)


@pytest.fixture
def launch(tmp_path):
    """Starts a worker as Ray does, and returns what it says of itself."""
    (tmp_path / "worker.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "helper.py").write_text("WORD = 'beside the program'", encoding="utf-8")
    folder = tmp_path / "here"
    folder.mkdir()
    context = {"command_prefix": [], "env_vars": {"OF_THE_RUNTIME": "yes"}, "py_executable": sys.executable}

    def started(path: str, **variables: str) -> dict[str, Any]:
        from orchestrator.forking.ray_workers import setup_worker

        own = {"RAY_JOB_ID": "01000000", "RAY_RAYLET_PID": "1", "OF_THE_LAUNCHER": "a b\nc", "PS1": "$ ", **variables}
        result = subprocess.run(
            [
                sys.executable,
                launcher.__file__,
                str(tmp_path / "worker.py"),
                "--worker-id=12",
                "--language=PYTHON",
                f"--serialized-runtime-env-context={json.dumps(context)}",
                "--webui=",
            ],
            env={**os.environ, **own, launcher.SOCKET: path, launcher.SETUP_WORKER: setup_worker()},
            cwd=folder,
            input="what the launcher gets",
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
            process_group=0,
            preexec_fn=limit_and_mask,
        )
        assert result.stderr.endswith("an error\n")
        told: dict[str, Any] = json.loads(result.stdout)
        return told

    return started


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    running = ForkServer(["trainables.worker.preloaded"], threads="1")
    yield running
    running.end()  # does nothing the second time


@pytest.mark.slow
def test_a_fork_is_what_a_program_of_its_own_would_have_been(server, launch):
    forks = [launch(server.socket) for _ in range(2)]
    program = launch("/nobody/listens")
    assert [told["is_fork"] for told in (*forks, program)] == [True, True, False]
    for fork in forks:
        assert {k: v for k, v in fork.items() if k not in OF_ITS_OWN} == {
            k: v for k, v in program.items() if k not in OF_ITS_OWN
        }
    assert program["umask"] == 0o027
    assert program["arguments"][1:] == ["--worker-id=12", "--webui="]
    assert program["environment"]["OF_THE_RUNTIME"] == "yes"
    assert launcher.SOCKET not in program["environment"]
    # Forks of one process, whose generators would all go on alike.
    numbers = [number for told in (*forks, program) for number in told["random"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.slow
def test_workers_of_another_job_are_programs_and_all_are_once_the_server_was_killed(server, launch):
    assert launch(server.socket)["is_fork"]
    assert not launch(server.socket, RAY_JOB_ID="02000000")["is_fork"]
    assert not launch(server.socket, RAY_RAYLET_PID="2")["is_fork"]
    assert launch(server.socket)["is_fork"]
    # No test after this one has a server of the file.
    server.end()
    assert not launch(server.socket)["is_fork"]


@pytest.mark.slow
def test_workers_are_programs_where_the_server_cannot_import(launch):
    broken = ForkServer(["no_such_module_anywhere"], threads="1")
    try:
        assert not launch(broken.socket)["is_fork"]
        assert not launch(broken.socket)["is_fork"]
    finally:
        broken.end()


@pytest.mark.slow
def test_a_server_ends_with_its_driver_and_leaves_no_folder_behind():
    code = (
        "import time; from orchestrator.forking.session import ForkServer\n"
        "server = ForkServer([], threads='1'); print(server._process.pid, server.socket, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as driver:
        word, path = driver.stdout.readline().split()
        pid = int(word)
        driver.kill()
    until = time.monotonic() + 120  # it may still import
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_running(pid)
    # The driver could not remove it any more.
    assert not Path(path).parent.exists()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_workers_import_from_all_folders_of_a_user_who_keeps_programs_own_folders_off_the_path():
    # Number -1 is no socket: the server fails once its path of imports stands.
    code = (
        "import runpy, sys; first = list(sys.path); sys.argv = ['server', '-1']\n"
        "try: runpy.run_path(sys.orig_argv[-1], run_name='__main__')\n"
        "except ValueError: print(sys.path[:-1] == first)"
    )
    command = [sys.executable, "-P", "-c", code, str(Path(session.__file__).with_name("server.py"))]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n"


class Server:
    """Notes what became of it, in place of a process."""

    made: list["Server"]

    def __init__(self, modules, *, threads):
        self.started_for, self.socket, self.has_ended = (tuple(modules), threads), f"/{len(self.made)}", False
        self.variables = dict(os.environ)
        self.made.append(self)

    def end(self):
        self.has_ended = True


@pytest.fixture
def made(monkeypatch):
    Server.made = []
    monkeypatch.delenv(session.SWITCH, raising=False)
    monkeypatch.setattr(session, "ForkServer", Server)
    return Server.made


def test_a_session_takes_the_server_that_was_started_ahead_of_it(made):
    with server_ahead(["a"], threads="2"), fork_server(["a"], threads="2") as path:
        assert (path, made[0].has_ended) == ("/0", False)
    assert [server.has_ended for server in made] == [True]


def test_a_server_that_waits_already_is_not_started_again(made):
    with server_ahead(["a"], threads="2"):
        with server_ahead(["a"], threads="2"):
            assert [server.has_ended for server in made] == [False]
        with server_ahead(["a"], threads="2"), fork_server(["a"], threads="2") as path:
            assert path == "/0"
        assert [server.has_ended for server in made] == [True]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 1),
        ({"overrides": ["seed=2"]}, 1),
        ({"overrides": ["resources.cpus_per_trial=2"]}, 0),
        ({"address": "auto"}, 0),
        ({"study": "quickstart"}, 0),
    ],
)
def test_images_are_looked_at_while_workers_import(made, tmp_path, options, count, monkeypatch):
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.delenv(session.THREADS, raising=False)
    asked = {"study": str(tmp_path), "overrides": [], "address": None, **options}
    with suppress(InputError), workers_ahead(asked.pop("study"), **asked):
        assert [server.has_ended for server in made] == [False] * count
        assert all(server.started_for == (("trainables.worker.preloaded",), "1") for server in made)
        raise InputError("nothing to be read")
    assert [server.has_ended for server in made] == [True] * count


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.delenv(session.THREADS, raising=False)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["run", "quickstart"], 1),
        (["run", "a.yaml", "--set", "resources.cpus_per_trial=2"], 1),
        (["resume", "runs/a"], 0),
        ([], 0),
        (["status", "runs/a"], 0),
        (["validate", "run"], 0),
        (["run", "--help"], 0),
        (["run", "a.yaml", "--address", "auto"], 0),
        (["run", "a.yaml", "--address=127.0.0.1:6379"], 0),
    ],
)
def test_a_command_that_trains_on_this_machine_starts_a_server_as_it_begins(made, no_ray, arguments, count):
    with import_with_command(arguments):
        assert [server.has_ended for server in made] == [False] * count
    assert [server.has_ended for server in made] == [True] * count


@pytest.mark.parametrize(
    ("study", "kept"),
    [
        ({}, [True]),
        ({"resources": Resources(cpus_per_trial=2)}, [False, True]),
        ({"resources": Resources(gpus_per_trial=1)}, [False]),
        ({"address": "127.0.0.1:6379"}, [False]),
        ({"variables": {"TF_ENABLE_ONEDNN_OPTS": "0"}}, [False, True]),
    ],
    ids=["usual", "two-threads", "gpus", "cluster", "variables-changed"],
)
def test_the_server_of_a_command_is_kept_where_it_is_what_the_study_needs(made, no_ray, monkeypatch, study, kept):
    with import_with_command(["run", "a.yaml"]):
        for name, value in study.get("variables", {}).items():
            monkeypatch.setenv(name, value)
        with import_ahead(study.get("resources", Resources()), address=study.get("address")):
            assert [not server.has_ended for server in made] == kept
            # Ray is imported meanwhile, and sets variables; the session asks once more.
            monkeypatch.setitem(sys.modules, "ray", object())
            monkeypatch.setenv("RAY_SET_THIS", "1")
            with import_ahead(study.get("resources", Resources()), address=study.get("address")):
                assert [not server.has_ended for server in made] == kept
    assert all(server.has_ended for server in made)


def test_a_process_that_has_imported_ray_leaves_the_server_to_the_session(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", object())
    with import_ahead(Resources(), address=None):
        assert made == []


def test_a_server_that_was_started_for_something_else_ends_as_the_session_begins(made):
    with server_ahead(["a"], threads="1"), fork_server(["a"], threads="2") as path:
        assert path == "/1"
        assert [server.has_ended for server in made] == [True, False]
    assert [server.has_ended for server in made] == [True, True]


def test_a_server_that_no_session_took_ends(made):
    with server_ahead(["a"], threads="1"):
        pass
    assert [server.has_ended for server in made] == [True]


def test_there_is_no_server_where_nothing_is_to_be_imported_or_a_user_switched_it_off(made, monkeypatch):
    with server_ahead([], threads="1"), fork_server([], threads="1") as path:
        assert path is None
    monkeypatch.setenv(session.SWITCH, "0")
    with server_ahead(["a"], threads="1"), fork_server(["a"], threads="1") as path:
        assert path is None
    assert made == []


def test_a_server_that_cannot_be_started_is_logged_and_costs_nothing_else(monkeypatch, caplog):
    def fail(*_args, **_kwargs):
        raise OSError("AF_UNIX path too long")

    monkeypatch.delenv(session.SWITCH, raising=False)
    monkeypatch.setattr(session, "ForkServer", fail)
    with caplog.at_level("INFO", logger=session.__name__), fork_server(["a"], threads="1") as path:
        assert path is None
    assert caplog.messages == ['workers are programs of their own reason="AF_UNIX path too long"']
