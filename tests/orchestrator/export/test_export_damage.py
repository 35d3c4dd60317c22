"""An export that is not as it was written is found by its manifest, whatever was changed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.driver.api import open_run
from orchestrator.errors import RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.runs.folder import make_run_folder
from orchestrator.study.loading import load_study
from trainables.files.manifests import damage_of, fingerprints


def write_export(folder: Path) -> Path:
    """Writes an export as README describes its manifest's hashes."""
    (folder / "saved_model").mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"model" * 100)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    content: dict[str, Any] = {"schema": 2, "rank": 1, "files": fingerprints(folder)}
    own_hash = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**content, "manifest_sha256": own_hash}), encoding="utf-8")
    return folder


def change(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes().replace(old, new, 1)) and None


def replace_by_pipe(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (change("model.keras", b"m", b"M"), "model.keras is not as it was exported"),
    (change("saved_model/saved_model.pb", b"graph", b"graphs"), "saved_model/saved_model.pb is not as it was exported"),
    (lambda folder: (folder / "model.keras").unlink(), "model.keras is not as it was exported"),
    (change("manifest.json", b'"rank": 1', b'"rank": 2'), "manifest.json has changed"),
    (change("manifest.json", b"{", b"["), "manifest.json cannot be read (JSONDecodeError)"),
    (change("manifest.json", b"manifest_sha256", b"manifest_sha255"), "manifest.json cannot be read (KeyError)"),
    (lambda folder: (folder / "manifest.json").write_bytes(b"[]"), "manifest.json cannot be read (TypeError)"),
    (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing, or no manifest"),
    (replace_by_pipe, "manifest.json is missing, or no manifest"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGES, ids=[f"{at}: {told}" for at, (_, told) in enumerate(DAMAGES)])
def test_damage_is_told(tmp_path: Path, damage: Callable[[Path], Any], told: str) -> None:
    folder = write_export(tmp_path / "1-t0003")
    (folder / "notes.txt").write_text("what was added since harms nothing", encoding="utf-8")
    assert damage_of(folder) == ""
    damage(folder)
    assert damage_of(folder) == told


def test_damaged_model_is_not_loaded(tmp_path: Path, make_sweep: Callable[..., Any]) -> None:
    run = make_run_folder(tmp_path / "run", study_yaml=load_study("quickstart").to_yaml())
    with Journal(run.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    change("model.keras", b"m", b"M")(write_export(run.export(rank=1, trial="t0003")))
    with pytest.raises(
        RunFolderError, match=r"model\.keras is not as it was exported; make it anew with `convfleet exp"
    ):
        open_run(run.root).load_model()
