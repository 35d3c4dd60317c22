"""Manifests: JSON files that hold the size and hash of the files beside them, so that damage is found."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
#: The key of a sealed manifest's own hash.
OWN_HASH = "manifest_sha256"
_LARGEST_MANIFEST_BYTES = 100_000_000


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a manifest's content with its own hash as its last key."""
    return {**content, OWN_HASH: hash_of(content)}


def hash_of(content: Mapping[str, Any]) -> str:
    """Returns the sha256 of a manifest's content, without its own hash, as sorted JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fingerprint_of(content: bytes) -> dict[str, Any]:
    """Returns the size and sha256 of a file's content, as a manifest holds them."""
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def fingerprints(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the size and sha256 of every file below a folder but the manifest itself."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            found[path.relative_to(folder).as_posix()] = _fingerprint(path)
    return found


def damage_of(folder: Path) -> str:
    """Returns what is wrong with an export's files, after reading all of them; an empty text for a whole one."""
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file() or manifest.stat().st_size > _LARGEST_MANIFEST_BYTES:
            return f"{MANIFEST} is missing, or no manifest"
        content, is_right = _content(manifest)
        if not is_right:
            return f"{MANIFEST} has changed"
        for name, expected in content["files"].items():
            path = folder / name
            is_there = path.is_file() and path.stat().st_size == expected["size_bytes"]
            if not is_there or _fingerprint(path) != expected:
                return f"{name} is not as it was exported"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        return f"{MANIFEST} cannot be read ({type(exc).__name__})"
    return ""


def content_of_manifest(path: Path) -> dict[str, Any]:
    """Returns what a manifest holds, without its own hash.

    Raises:
        ValueError: If the manifest has changed, or is none.
        OSError: If it cannot be read.
    """
    if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
        raise ValueError("is larger than any manifest")
    try:
        content, is_right = _content(path)
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError("is no manifest") from exc
    if not is_right:
        raise ValueError("has changed")
    return content


def _content(path: Path) -> tuple[dict[str, Any], bool]:
    """Returns what a manifest holds, and whether its own hash is right."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content, content.pop(OWN_HASH) == hash_of(content)


def _fingerprint(path: Path) -> dict[str, Any]:
    # Not read into memory: models may be large.
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size_bytes": path.stat().st_size, "sha256": digest}
