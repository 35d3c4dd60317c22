"""Commands of convfleet that the dashboard starts: each is a process of its own, never work of the server."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.dashboard.watching.priority import start
from orchestrator.errors import InputError
from orchestrator.runs.paths import RunFolder

#: What a command that goes on by itself prints, in the run folder.
LOG = "dashboard.log"
_MOST_SECONDS = 180.0


def begin(folder: RunFolder, words: Sequence[str]) -> Path:
    """Starts a command that outlives the dashboard, and returns the file that has what it prints.

    Args:
        folder: The run that it works on.
        words: Such as `resume`, `runs/quickstart`.
    """
    log = folder.root / LOG
    with log.open("ab") as file:
        file.write(f"$ convfleet {' '.join(words)}\n".encode())
        file.flush()
        start(
            [sys.executable, "-m", "convfleet", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return log


def answer_of(words: Sequence[str]) -> dict[str, Any]:
    """Returns the JSON that a command prints.

    Raises:
        InputError: If the command fails, with what it says.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "convfleet", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"convfleet {words[0]} did not answer within {_MOST_SECONDS:.0f} s") from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise InputError(said.removeprefix("error: "))
    return found
