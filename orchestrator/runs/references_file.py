"""Reads and writes references.json, on which no result depends: what cannot be read counts as missing."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole

SCHEMA_VERSION = 1
_LARGEST_BYTES = 1_000_000


def read_references_file(folder: RunFolder) -> Mapping[str, Any]:
    """Returns the content of references.json; an empty mapping for a file that is missing, damaged or too large."""
    path = folder.references
    try:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST_BYTES:
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("schema") == SCHEMA_VERSION:
                return content
    except (OSError, ValueError, RecursionError):
        pass  # as if it were missing
    return {}


def write_references_file(folder: RunFolder, content: Mapping[str, Any]) -> None:
    """Writes references.json, whole.

    Args:
        folder: The run folder.
        content: JSON-ready.
    """
    write_whole(folder.references, json.dumps({"schema": SCHEMA_VERSION, **content}, indent=2))
