"""Work in a child process, so that the caller imports neither TensorFlow nor users' code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from trainables.errors import DataError
from trainables.progress import OnProgress

#: Seconds that a child has to end before it is killed.
GRACE_SECONDS = 5.0
STDERR_LINES = 20
#: Seconds between two progress messages of one stage.
NEWS_SECONDS = 0.2


def ask_child(module: str, request: Mapping[str, Any], *, what: str, on_progress: OnProgress) -> Any:
    """Returns what a module's `main`, made of `answer_caller`, answers to a request in a child process.

    The child has a session of its own: Ctrl-C at the terminal reaches the caller alone, which then ends the child with
    SIGTERM. The child also ends itself when the caller dies.

    Args:
        request: JSON-ready.
        what: The process in the message of a crash, `place: the process that...`.

    Raises:
        DataError: The child raised it, or crashed; the message has the last lines of its stderr.
    """
    with tempfile.TemporaryFile() as stderr, _child(module, stderr) as child:
        if child.stdin is None or child.stdout is None:
            raise AssertionError("Popen was asked for pipes")
        with suppress(BrokenPipeError):  # if it died at once, the error below has its last lines
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()  # and left open: the child reads its end as the caller's death
        for line in child.stdout:
            message = json.loads(line)
            if "progress" in message:
                on_progress(*message["progress"])
            elif "error" in message:
                raise DataError(message["error"])
            else:
                return message["result"]
        code = child.wait()
        raise DataError(_crash(code, stderr, what=what))


def answer_caller(work: Callable[[Any, OnProgress], Any]) -> int:
    """Reads one request from stdin, does the work, and writes progress, then its result or its DataError, to stdout."""
    request = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_caller, daemon=True).start()
    # Users' code may print: file descriptor 1 becomes stderr, the messages keep the pipe.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Mapping[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    try:
        result = work(request, _Throttled(send))
    except DataError as exc:
        send({"error": str(exc)})
        return 1
    send({"result": result})
    return 0


@contextmanager
def _child(module: str, stderr: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        # -P: the module search must not begin in the working directory.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": _python_path()},
    )
    try:
        yield child
    except BaseException:
        child.terminate()
        raise
    finally:
        _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    """Ends the child and all that it started: after a grace period, by SIGKILL."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    try:
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _python_path() -> str:
    """Returns a module path on which the child finds this package, installed or not."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def _crash(code: int, stderr: IO[bytes], *, what: str) -> str:
    stderr.seek(0)
    lines = stderr.read().decode("utf-8", errors="replace").splitlines()[-STDERR_LINES:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    message = "\n".join(lines) or "it wrote nothing to stderr"
    return f"{what} {how}{hint}; its last lines were:\n{message}"


class _Throttled:
    """Sends each stage's first and last progress message, and some between."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._stage = ""
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage or done >= total or now - self._last >= NEWS_SECONDS:
            self._stage, self._last = stage, now
            self._send({"progress": [stage, done, total]})


def _end_with_caller() -> None:
    """Waits for the end of stdin, which means that the caller is done or dead."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
