"""What a study ran on: versions, machine and git commit, one entry a session."""

import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.cluster.resources import NodeResources
from orchestrator.runs.environment_file import read_sessions
from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole
from trainables.versions import versions

SCHEMA_VERSION = 1

logger = logging.getLogger(__name__)


def record_environment(
    folder: RunFolder,
    *,
    nodes: Sequence[NodeResources],
    address: str | None,
    data: Mapping[str, object] | None = None,
) -> None:
    """Adds this session to environment.json; renames a file that cannot be read, since no result depends on it.

    Args:
        folder: The run folder.
        nodes: What each node of Ray has.
        address: The Ray cluster that the driver joined; None: a Ray of this machine alone.
        data: How the images are kept and what decided it.
    """
    sessions = _earlier_sessions(folder)
    session = {
        "at": time.time(),
        "versions": versions(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "nodes": [_known_of(node) for node in nodes],
        "address": address or "local",
        "data": data,
        "command": sys.argv[1:],
        "git_commit": _git_commit(Path.cwd()),
    }
    content = {"schema": SCHEMA_VERSION, "sessions": [*sessions, session]}
    write_whole(folder.environment, json.dumps(content, indent=2))


def _earlier_sessions(folder: RunFolder) -> list[Any]:
    path = folder.environment
    if not path.exists() and not path.is_symlink():
        return []
    sessions = read_sessions(path)
    if sessions is not None:
        return sessions
    aside = path.with_name(f"environment-damaged-{time.time_ns()}.json")
    path.rename(aside)
    logger.warning('environment=%s decision=begin-anew aside=%s reason="cannot be read"', path, aside.name)
    return []


def _git_commit(folder: Path) -> str | None:
    """Returns the commit that the current folder is at, or None outside of git."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None


def _known_of(node: NodeResources) -> dict[str, Any]:
    """Returns what a node has; its own resources only where it has any."""
    return {name: value for name, value in asdict(node).items() if name != "others" or value}
