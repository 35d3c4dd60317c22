"""The fork server of a session: started ahead of Ray, which then starts its workers by it, and ended after Ray."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.forking import launcher

logger = logging.getLogger(__name__)

#: Set to 0, it makes each worker a program of its own.
SWITCH = "CONVFLEET_FORKED_WORKERS"
_HERE = Path(__file__).parent
#: As many launchers wait while the server still imports.
_BACKLOG = 256
#: What NumPy reads as it is imported, with what Ray sets for a worker of one CPU.
THREADS = "OMP_NUM_THREADS"


class ForkServer:
    """A process that imports TensorFlow and can be forked then.

    Args:
        modules: What every worker has imported besides.
        threads: How many threads NumPy may use in a worker, as text.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, modules: Sequence[str], *, threads: str) -> None:
        self.started_for = (tuple(modules), threads)
        #: The driver's variables as it was started, which are those of its imports.
        self.variables = dict(os.environ)
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="convfleet-fork-", ignore_cleanup_errors=True))
            #: Where launchers connect.
            self.socket = str(Path(folder) / "socket")
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(self.socket)
            listener.listen(_BACKLOG)
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, THREADS: threads}
            self._process = _started([str(listener.fileno()), *modules], environment, file=listener.fileno())
            listener.close()
            self._folder = stack.pop_all()

    def end(self) -> None:
        """Ends it; workers that it made go on."""
        # It has nothing to put in order.
        self._process.kill()
        self._process.communicate()
        self._folder.close()


#: The server that waits for a session, if one was started ahead of it.
_ahead: list[ForkServer] = []


@contextmanager
def server_ahead(modules: Sequence[str], *, threads: str, is_late: bool = False) -> Iterator[None]:
    """Starts a fork server for the session that is opened meanwhile, and ends it if none takes it over.

    One that waits already is as good, and is left to whoever started it; one for something else ends.

    Args:
        modules: What every worker has imported besides TensorFlow; without any there is no server.
        threads: How many threads NumPy may use in a worker, as text.
        is_late: Whether this process has imported Ray, which sets variables of its own: then no server is started.
    """
    if any(
        server.started_for == (tuple(modules), threads) and (is_late or server.variables == os.environ)
        for server in _ahead
    ):
        yield
        return
    _end_ahead()
    if modules and not is_late and (server := _new_server(modules, threads=threads)) is not None:
        _ahead.append(server)
    try:
        yield
    finally:
        _end_ahead()


@contextmanager
def fork_server(modules: Sequence[str], *, threads: str) -> Iterator[str | None]:
    """Yields the socket of a fork server, which ends afterwards; None if there is none.

    Args:
        modules: What every worker has imported besides TensorFlow; without any there is no server.
        threads: How many threads NumPy may use in a worker, as text.
    """
    fitting = [server for server in _ahead if server.started_for == (tuple(modules), threads)]
    server = fitting[0] if fitting else _new_server(modules, threads=threads) if modules else None
    if fitting:
        _ahead.remove(fitting[0])
    _end_ahead()
    try:
        yield server.socket if server is not None else None
    finally:
        if server is not None:
            server.end()


@contextmanager
def forking_ray(path: str | None) -> Iterator[None]:
    """Makes a Ray that is started meanwhile start its workers by the fork server at a socket; None: as ever."""
    if path is None:
        yield
        return
    # Late: it imports Ray.
    from orchestrator.forking.ray_workers import setup_worker, started_by

    variables = {launcher.SOCKET: path, launcher.SETUP_WORKER: setup_worker()}
    os.environ.update(variables)
    try:
        with started_by(str(_HERE / "launcher.py")):
            yield
    finally:
        for name in variables:
            del os.environ[name]


def _end_ahead() -> None:
    while _ahead:
        _ahead.pop().end()


def _new_server(modules: Sequence[str], *, threads: str) -> ForkServer | None:
    if sys.platform != "linux" or os.environ.get(SWITCH) == "0":
        return None
    try:
        return ForkServer(modules, threads=threads)
    except OSError as exc:
        logger.info('workers are programs of their own reason="%s"', exc)
        return None


def _started(arguments: Sequence[str], environment: dict[str, str], *, file: int) -> subprocess.Popen[bytes]:
    # An interrupt from the terminal is the driver's to answer, as with Ray's own processes.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return subprocess.Popen(
            [sys.executable, str(_HERE / "server.py"), *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[file],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
