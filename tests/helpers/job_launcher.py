"""What the tests' shared Ray runs to start a worker: asks for its job's fork server, then is the product's launcher.

Where no server answers, or one that fails meanwhile, the worker is a program of its own, as the product's launcher has
it. Run as a file; it imports nothing of Ray.
"""

import os
import runpy
import socket
from contextlib import suppress
from pathlib import Path

#: The variable that names where the process of `job_servers.py` listens.
JOB_SERVERS = "TESTS_JOB_SERVERS"
_LAUNCHER = Path(__file__).parents[2] / "orchestrator" / "forking" / "launcher.py"
_SOCKET = "CONVFLEET_FORK_SERVER"


def main() -> None:
    """Starts the worker of the command line, as a fork where it can be one."""
    path = os.environ.pop(JOB_SERVERS, "")
    with suppress(OSError), socket.socket(socket.AF_UNIX) as servers:
        servers.settimeout(60)
        servers.connect(path)
        servers.sendall(os.environ["RAY_JOB_ID"].encode())
        os.environ[_SOCKET] = servers.recv(200).decode()
    runpy.run_path(str(_LAUNCHER), run_name="__main__")


if __name__ == "__main__":
    main()
