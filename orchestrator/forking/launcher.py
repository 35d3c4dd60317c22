"""What Ray runs, in place of its own script, to start a worker: has the fork server make it, or else runs Ray's script.

It is run as a file, and imports nothing of this project and nothing of Ray, which alone would take it half a second.
"""

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path

#: The variable that names the fork server's socket, and the one that names the script that Ray has for the purpose.
SOCKET = "CONVFLEET_FORK_SERVER"
SETUP_WORKER = "CONVFLEET_RAY_SETUP_WORKER"
ACCEPTED = b"forked"
_ANSWER_SECONDS = 120.0
_CONTEXT = "--serialized-runtime-env-context="


def main() -> None:
    """Starts the worker that the command line describes, as a fork or as a program."""
    arguments = sys.argv[1:]
    setup_worker = os.environ.pop(SETUP_WORKER)
    path = os.environ.pop(SOCKET, "")
    variables = forkable(arguments)
    if path and variables is not None:
        try:
            if is_forked(path, arguments, environment={**os.environ, **variables}):
                return
        except OSError:
            pass
    os.execv(sys.executable, [sys.executable, setup_worker, *arguments])


def forkable(arguments: list[str]) -> dict[str, str] | None:
    """Returns the environment variables that a worker is asked to have, and None if it must be a program of its own.

    Args:
        arguments: The worker's program and its arguments, with those for Ray's script among them.
    """
    if "--language=PYTHON" not in arguments or not arguments[0].endswith(".py"):
        return None
    if any(each.startswith("--worker-type=") and each != "--worker-type=WORKER" for each in arguments):
        return None
    context = next((each[len(_CONTEXT) :] for each in arguments if each.startswith(_CONTEXT)), "{}")
    wanted = {name: value for name, value in json.loads(context).items() if value}
    variables = wanted.pop("env_vars", {})
    is_plain = set(wanted) <= {"py_executable"} and wanted.get("py_executable", sys.executable) == sys.executable
    # Ray would expand a reference to another variable.
    return variables if is_plain and not any("$" in value for value in variables.values()) else None


def is_forked(path: str, arguments: list[str], *, environment: dict[str, str]) -> bool:
    """Returns whether the server at a socket forked the worker, which has this process's files, mask and folder."""
    umask = os.umask(0o077)
    os.umask(umask)
    request = {
        "arguments": arguments,
        "environment": environment,
        "folder": str(Path.cwd()),
        "umask": umask,
        # Ray raises it for all of its processes.
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "blocked": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        # Ray sets it for the process that it starts, which is this one.
        "oom_score_adj": Path("/proc/self/oom_score_adj").read_text(encoding="ascii"),
    }
    with socket.socket(socket.AF_UNIX) as server:
        # A server that hangs is as good as none; its imports take seconds.
        server.settimeout(_ANSWER_SECONDS)
        server.connect(path)
        text = json.dumps(request).encode()
        sent = socket.send_fds(server, [text], [0, 1, 2])
        server.sendall(text[sent:])
        server.shutdown(socket.SHUT_WR)
        return server.recv(len(ACCEPTED)) == ACCEPTED


if __name__ == "__main__":
    main()
