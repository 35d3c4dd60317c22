"""The fork server: imports what trials need once, then makes each worker process as a copy of itself.

Its copies share the pages of what is imported, and are there after a tenth of a second; an import takes six seconds of
CPU. When it forks, it has no threads of Python's, and has used neither TensorFlow nor Ray.

Ray reads some settings but once, as it is imported: the job and the process that a worker belongs to. So Ray is
imported when the first worker is asked for, in that worker's environment, and workers of another job are not made.

The server ends with the process that started it, the workers end with Ray.
"""

import gc
import importlib
import json
import os
import random
import resource
import runpy
import select
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict, cast

if __name__ == "__main__":
    # Run as a file, so that a worker's path of imports does not begin with the driver's working directory.
    # Where Python is asked for a safe path, this file's folder is not on it.
    sys.path[:] = [*sys.path[0 if sys.flags.safe_path else 1 :], str(Path(__file__).parents[2])]

from orchestrator.forking.launcher import ACCEPTED
from trainables.machine.imports import import_tensorflow, quick_imports

#: How often the server looks whether its driver is still there.
_LOOK_SECONDS = 1.0
#: Standard input, output and error.
_NUM_FILES = 3
#: How long a launcher may take to say what it wants.
_REQUEST_SECONDS = 10.0
_OOM_SCORE = Path("/proc/self/oom_score_adj")
#: Imported ahead of the first request: what trials need of ours, and what Ray Tune imports that imports no Ray.
_EARLY = (
    "trainables.training.training",
    "trainables.worker.trial_run",
    "filelock",
    "fsspec",
    "jsonschema",
    "msgpack",
    "tqdm",
)
#: What Ray reads once.
_ONCE = ("RAY_JOB_ID", "RAY_RAYLET_PID")


class Wanted(TypedDict):
    """What a launcher asks for: what its own process is, as Ray made it.

    Attributes:
        arguments: The worker's program and its arguments.
        environment: All its environment variables.
        folder: Its working directory.
        umask: What the files that it makes do not permit.
        open_files: How many files it may have open: the soft limit and the hard one.
        blocked: The signals that it does not get.
        oom_score_adj: How soon the kernel ends it where memory is short.
        files: Its standard input, output and error.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    umask: int
    open_files: tuple[int, int]
    blocked: list[int]
    oom_score_adj: str
    files: list[int]


def main() -> None:
    """Serves until the driver is gone; in a fork, becomes the worker."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    import_early()
    wanted = wanted_worker(listener, modules=sys.argv[2:])
    if wanted is None:
        # A driver that was killed could not remove the socket's folder.
        shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)
        # Taking all down that was imported would take a second.
        os._exit(0)
    become_worker(wanted)


def import_early() -> None:
    """Imports what needs no Ray; what fails here fails again, and in words, in the trial that needs it."""
    with quick_imports():
        import_tensorflow()
        for module in _EARLY:
            with suppress(Exception):
                importlib.import_module(module)
        keep_imports()


def keep_imports() -> None:
    """Keeps what is imported out of later collections, which would touch, and so copy, all of it in each worker.

    While the collector is off still: back on, it would look through all of it at once, and find little.
    """
    gc.freeze()


def wanted_worker(listener: socket.socket, *, modules: Sequence[str]) -> Wanted | None:
    """Returns None once the driver is gone, and in each fork what its worker is to be.

    Args:
        listener: Where launchers connect.
        modules: What is imported in the environment of the first worker.
    """
    # The workers are reaped by the kernel: Ray watches them by their connections to it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    first: dict[str, str] | None = None
    for connection in connections(listener):
        with connection:
            try:
                wanted = received(connection)
            except (OSError, ValueError):
                continue
            if first is None:
                first = wanted["environment"]
                import_in(first, modules)
            is_alike = all(first.get(name) == wanted["environment"].get(name) for name in _ONCE)
            if is_alike and forked() == 0:
                listener.close()
                return wanted
            for file in wanted["files"]:
                os.close(file)
            if is_alike:
                with suppress(OSError):
                    connection.sendall(ACCEPTED)
    return None


def connections(listener: socket.socket) -> Iterator[socket.socket]:
    """Yields each connection, whose reads end in time, until the process that started this one is gone.

    Args:
        listener: Where they come.
    """
    driver = os.getppid()
    while True:
        ready, _, _ = select.select([sys.stdin, listener], [], [], _LOOK_SECONDS)
        if sys.stdin in ready or os.getppid() != driver:
            return
        if ready:
            connection, _ = listener.accept()
            connection.settimeout(_REQUEST_SECONDS)
            yield connection


def import_in(environment: dict[str, str], modules: Sequence[str]) -> None:
    """Imports modules in an environment, which this process has from then on."""
    take_environment(environment)
    from orchestrator.forking.ray_workers import generator_unused

    with generator_unused(), quick_imports():
        for module in modules:
            importlib.import_module(module)
        keep_imports()


def take_environment(variables: dict[str, str]) -> None:
    """Gives this process these environment variables and no others."""
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def received(connection: socket.socket) -> Wanted:
    """Returns what a launcher wants, with its open files as `files`.

    Raises:
        OSError: It said too little in the time that it has.
        ValueError: It did not say it in JSON, or its files did not all come: this process may have no more of them.
    """
    text, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    try:
        while more := connection.recv(1 << 16):
            text += more
        wanted = cast("Wanted", {**json.loads(text), "files": files})
        if len(files) != _NUM_FILES:
            raise ValueError(f"{len(files)} open files came, expected {_NUM_FILES}")
    except (OSError, ValueError):
        for file in files:
            os.close(file)
        raise
    return wanted


def forked() -> int:
    """Forks; Python warns of threads, but the one that is there is an allocator's, which sees to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def become_worker(wanted: Wanted) -> None:
    """Makes this fork what the launcher would have become, and runs Ray's program for workers in it."""
    from orchestrator.forking.ray_workers import read_settings_again, worker_arguments

    for target, file in enumerate(wanted["files"]):
        os.dup2(file, target)
        os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, wanted["blocked"])
    with suppress(OSError):
        _OOM_SCORE.write_text(wanted["oom_score_adj"], encoding="ascii")
    # Ray ends a worker together with the group of processes that it leads.
    os.setpgid(0, 0)
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, wanted["open_files"])
    take_environment(wanted["environment"])
    read_settings_again()
    reseed()
    program, *arguments = wanted["arguments"]
    sys.argv = [program, *worker_arguments(arguments)]
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")


def reseed() -> None:
    """Gives this process random numbers of its own where libraries have a generator for all: forks start alike."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


if __name__ == "__main__":
    main()
