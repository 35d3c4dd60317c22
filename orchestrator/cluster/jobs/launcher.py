"""A cluster of Ray's launcher, named by its cluster.yaml: started if it is not up, and reached through SSH."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from orchestrator.errors import InputError, StudyFailedError

_RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")
#: Until a head that is up answers through its tunnel.
_TUNNEL_SECONDS = 60.0
_POLL_SECONDS = 0.5
_LAST_LINES = 12


@contextmanager
def tunnel_to(cluster_file: Path, *, notify: Callable[[str], None]) -> Iterator[str]:
    """Yields an address of this machine that leads to a cluster's dashboard; starts the cluster if none answers.

    A cluster that answers is left as it is: `ray up` would start its Ray anew, and end its jobs.

    Args:
        cluster_file: For Ray's launcher.
        notify: Receives messages for the user.

    Raises:
        InputError: If there is no such file.
        StudyFailedError: If the cluster does not start.
    """
    if not cluster_file.is_file():
        raise InputError(f"--on {cluster_file}: no such file; give a cluster.yaml, an address, or kubernetes")
    with tempfile.TemporaryFile() as log:
        notify(f"looking for the cluster of {cluster_file}")
        tunnel, address = _open(cluster_file, log=log)
        try:
            if not _answers(tunnel, address):
                _close(tunnel)
                notify(f"starting it: ray up {cluster_file}")
                _up(cluster_file)
                tunnel, address = _open(cluster_file, log=log)
                if not _answers(tunnel, address):
                    raise StudyFailedError(
                        f"--on {cluster_file}: the cluster is up, but its dashboard does not answer ({_end(log)}); "
                        f"install 'convfleet[cluster]' on its head, and see `ray exec {cluster_file} 'ray status'`"
                    )
            yield address
        finally:
            _close(tunnel)


def _open(cluster_file: Path, *, log: IO[bytes]) -> tuple[subprocess.Popen[bytes], str]:
    port = _free_port()
    process = subprocess.Popen(
        [*_RAY, "dashboard", str(cluster_file), "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return process, f"http://127.0.0.1:{port}"


def _answers(tunnel: subprocess.Popen[bytes], address: str) -> bool:
    """Waits until a dashboard answers; returns False where the tunnel ends, or nothing comes through it in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _TUNNEL_SECONDS
    while tunnel.poll() is None and time.monotonic() < deadline:
        try:
            opener.open(f"{address}/api/version", timeout=_TUNNEL_SECONDS).close()
        except urllib.error.HTTPError:
            return True  # it asks for a token
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return True
    return False


def _up(cluster_file: Path) -> None:
    command = [*_RAY, "up", "--yes", "--disable-usage-stats", str(cluster_file)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        raise StudyFailedError(
            f"--on {cluster_file}: `ray up` ended with exit code {done.returncode}; mend what it says above, and "
            "launch again"
        )


def _end(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-_LAST_LINES:]) or "it says nothing"


def _close(tunnel: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(tunnel.pid, signal.SIGTERM)
    tunnel.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
