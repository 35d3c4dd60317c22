"""Reads environment.json, on which no result depends: what cannot be read counts as missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.runs.paths import RunFolder

_LARGEST_BYTES = 100_000_000


def read_sessions(path: Path) -> list[Any] | None:
    """Returns the entries of all sessions, oldest first; None for a file that is missing, damaged or too large."""
    try:
        if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
            sessions = json.loads(path.read_text(encoding="utf-8"))["sessions"]
            if isinstance(sessions, list):
                return sessions
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # as if it were missing
    return None


def last_data(folder: RunFolder) -> Mapping[str, Any]:
    """Returns what the last session wrote of its data; an empty mapping for runs of versions that wrote nothing."""
    sessions = read_sessions(folder.environment) or [None]
    data = sessions[-1].get("data") if isinstance(sessions[-1], dict) else None
    return data if isinstance(data, dict) else {}


def data_notes(folder: RunFolder) -> list[str]:
    """Returns the sentences about the data that the last session wrote."""
    notes = last_data(folder).get("notes")
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
