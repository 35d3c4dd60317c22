"""What a study ran on: versions, machine and git commit, one entry a session."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from orchestrator.paths import RunFolder, write_whole
from orchestrator.resources import NodeResources

PACKAGES = ("convfleet", "tensorflow", "keras", "ray", "optuna", "numpy", "pyarrow")
SCHEMA_VERSION = 1


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages whose numbers matter, without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def record_environment(
    folder: RunFolder,
    *,
    nodes: Sequence[NodeResources],
    address: str | None,
    data: Mapping[str, object] | None = None,
) -> None:
    """Adds this session to environment.json.

    data: How the images are kept and what decided it.
    """
    sessions: list[dict[str, Any]] = []
    if folder.environment.is_file():
        try:
            sessions = json.loads(folder.environment.read_text(encoding="utf-8"))["sessions"]
        except (ValueError, KeyError, TypeError):
            sessions = []  # damaged: nothing depends on it
    session = {
        "at": time.time(),
        "versions": versions(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "nodes": [asdict(node) for node in nodes],
        "address": address or "local",
        "data": data,
        "command": sys.argv[1:],
        "git_commit": _git_commit(Path.cwd()),
    }
    content = {"schema": SCHEMA_VERSION, "sessions": [*sessions, session]}
    write_whole(folder.environment, json.dumps(content, indent=2))


def _git_commit(folder: Path) -> str | None:
    """Returns the commit that the current folder is at, or None outside of git."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None
