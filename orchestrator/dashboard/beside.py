"""A dashboard beside a run: a process of its own that ends with the run's, and is in nobody's way."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from orchestrator.errors import InputError

PACKAGES = ("nicegui", "fastapi", "uvicorn")
#: How the token reaches the server: command lines can be read by everybody on the machine, environments cannot.
TOKEN_VARIABLE = "CONVFLEET_DASHBOARD_TOKEN"
_LISTENER_VARIABLE = "CONVFLEET_DASHBOARD_LISTENER"
_END_SECONDS = 5.0


def demand_packages() -> None:
    """Makes sure that a dashboard can be served.

    Raises:
        InputError: If a package is missing, with how to install it.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"the dashboard needs {' and '.join(missing)}, which {verb} not installed; pip install "
            "'convfleet[dashboard]'"
        )


def handed_on() -> int | None:
    """Returns the number of the socket that `dashboard_beside` handed on to this process; None where it did not."""
    number = os.environ.pop(_LISTENER_VARIABLE, "")
    return int(number) if number.isdigit() else None


@contextmanager
def dashboard_beside(runs: Path) -> Iterator[str]:
    """Yields the address, with its token, of a dashboard of a folder of runs; it ends with the context.

    Args:
        runs: The folder, which is made if it is not there.

    Raises:
        InputError: If a package is missing.
    """
    demand_packages()
    runs.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(24)
    with socket.socket() as listener:
        # Listening from now on: who follows the link at once waits for the server, and is not refused.
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port, number = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, "-m", "convfleet", "dashboard", str(runs)]
        process = subprocess.Popen(
            command,
            pass_fds=[number],
            env={**os.environ, TOKEN_VARIABLE: token, _LISTENER_VARIABLE: str(number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is the run's: the dashboard shows its end.
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}/?token={token}"
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
