"""One process for the tests' shared Ray that has imported TensorFlow, and forks a fork server for each job that asks.

The product's own Ray has one job, and its fork server imports Ray's parts in that job's environment; a server of this
process is that server, all of it, but for the import of TensorFlow.
"""

import gc
import importlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if __name__ == "__main__":
    # Run as a file: its folder has no part in what workers import.
    del sys.path[0]

from orchestrator.forking.server import become_worker, connections, forked, wanted_worker
from orchestrator.forking.session import THREADS

#: What every worker has imported besides TensorFlow. Not `preloaded`: workers of a cluster have no import ahead.
MODULES = ["trainables.worker.adapter"]
#: What that imports besides Ray, which must not be imported ahead of a job.
BESIDES = ("fsspec", "google.protobuf", "jsonschema", "pyarrow", "pydantic", "search_spaces", "yaml")
#: So many jobs keep their server. A later worker of another job gets a new one.
_NUM_KEPT = 2
_BACKLOG = 256


def main() -> None:
    """Serves until the process that started it is gone; in a fork, becomes a job's server and then a worker."""
    from trainables.machine.imports import import_tensorflow

    listener = socket.socket(fileno=int(sys.argv[1]))
    import_tensorflow()
    for module in BESIDES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if (own := wanted_server(listener)) is None:
        os._exit(0)
    if (wanted := wanted_worker(own, modules=MODULES)) is None:
        os._exit(0)
    become_worker(wanted)


def wanted_server(listener: socket.socket) -> socket.socket | None:
    """Returns None once the process that started this one is gone, and in each fork where its launchers connect."""
    folder = Path(listener.getsockname()).parent
    servers: dict[str, tuple[int, str]] = {}
    numbers = itertools.count()
    for connection in connections(listener):
        with connection, suppress(OSError):
            job = connection.recv(1 << 10).decode()
            if job not in servers:
                path = str(folder / str(next(numbers)))
                own = listening(path)
                if (pid := forked()) == 0:
                    listener.close()
                    return own
                own.close()
                servers[job] = pid, path
            # The one that was asked for last is the last to go.
            servers[job] = servers.pop(job)
            connection.sendall(servers[job][1].encode())
        while len(servers) > _NUM_KEPT:
            pid, _ = servers.pop(next(iter(servers)))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return None


def listening(path: str) -> socket.socket:
    """Returns a socket to which launchers can connect from now on; they wait until somebody accepts."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(_BACKLOG)
    return listener


@contextmanager
def job_servers() -> Iterator[str]:
    """Yields where launchers ask for the server of their job."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, THREADS: "1"}
    with tempfile.TemporaryDirectory(prefix="j") as folder:
        path = str(Path(folder) / "socket")
        with listening(path) as listener:
            process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                env=environment,
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        yield path
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
