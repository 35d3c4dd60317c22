"""What became of a registry's files is found when they are read, named, and refused; other models are not touched."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from made_exports import FILES, write_export

from orchestrator.errors import RegistryError
from orchestrator.journal.checksums import with_checksum
from orchestrator.registry.blobs import copy_out
from orchestrator.registry.folder import RegistryFolder
from orchestrator.registry.registry import Registry
from trainables.files.manifests import MANIFEST, fingerprint_of, sealed

#: What becomes of a file, by name.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "is deleted": Path.unlink,
    "is emptied": lambda path: path.write_bytes(b""),
    "is cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "has a bit that fell over": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "is a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "is a folder": lambda path: (path.unlink(), path.mkdir()),
    "is another one's": lambda path: path.write_bytes(b'{"type":"alias_moved","alias":"x","version":1,"at":0}\n'),
}


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry of two models, one of two versions, and with their exports."""
    folder = tmp_path_factory.mktemp("made")
    registry = Registry(folder / "registry")
    for number in range(2):
        files = {**FILES, "model.keras": f"model {number}".encode()}
        export = write_export(folder / f"export-{number}", files=files, trial=f"t000{number}")
        registry.add(export, name="digits", alias="production")
    registry.add(folder / "export-0", name="flowers")
    return folder


@pytest.fixture
def registry(made: Path, tmp_path: Path) -> Registry:
    """A copy of that registry, which a test may damage."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Registry(tmp_path / "registry")


def blob_of(registry: Registry, name: str, *, version: int = 2) -> Path:
    sha256 = registry.model("digits").versions[version].files[name]["sha256"]
    return registry.path / "blobs" / sha256[:2] / sha256


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_version_is_named_and_refused(
    registry: Registry, tmp_path: Path, name: str, damage: str
) -> None:
    blob = blob_of(registry, name)
    DAMAGES[damage](blob)
    version = registry.model("digits").versions[2]
    with pytest.raises(
        RegistryError, match=rf"{blob}: is (missing|not as it was added); it is {name} of digits version 2"
    ):
        copy_out(RegistryFolder(registry.path), version, names=list(version.files), target=tmp_path / "out")


# No file takes a folder's place.
@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "is a folder"])
def test_adding_the_export_once_more_mends_its_files(registry: Registry, tmp_path: Path, damage: str) -> None:
    version = registry.model("digits").versions[2]
    DAMAGES[damage](blob_of(registry, "model.keras"))
    registry.add(tmp_path / "export-1", name="digits")
    copy_out(RegistryFolder(registry.path), version, names=list(version.files), target=tmp_path / "out")


# Of a last entry that is gone, no other one says that it was there.
@pytest.mark.parametrize(
    ("damage", "number"),
    [(name, number) for name in DAMAGES for number in (1, 2) if (name, number) != ("is deleted", 2)],
)
def test_a_damaged_history_is_named_and_refused_and_other_models_go_on(
    registry: Registry, tmp_path: Path, damage: str, number: int
) -> None:
    path = registry.path / "models" / "digits" / "history" / f"{number:08d}.json"
    DAMAGES[damage](path)
    changes: list[Callable[[], object]] = [
        lambda: registry.model("digits"),
        lambda: registry.add(tmp_path / "export-0", name="digits"),
        lambda: registry.promote("digits", 1),
        lambda: registry.rollback("digits"),
        lambda: registry.remove("digits", 1),
        lambda: registry.load("digits"),
        registry.collect,
    ]
    before = sorted(registry.path.glob("blobs/*/*"))
    for change in changes:
        with pytest.raises(RegistryError, match=rf"{path}: is .*restore it from a backup"):
            change()
    # Whose files they are is not known, so none is deleted.
    assert sorted(registry.path.glob("blobs/*/*")) == before
    registry.promote("flowers", 1)
    assert registry.model("flowers").aliases == {"production": 1}


def test_removing_another_models_version_leaves_all_files_while_a_history_is_damaged(registry: Registry) -> None:
    before = sorted(registry.path.glob("blobs/*/*"))
    (registry.path / "models" / "digits" / "history" / "00000001.json").write_bytes(b"")
    registry.remove("flowers", 1)
    assert not registry.model("flowers").versions
    assert sorted(registry.path.glob("blobs/*/*")) == before


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name not in ("is another one's", "is cut")])
def test_a_damaged_marker_is_named_and_refused(registry: Registry, damage: str) -> None:
    marker = registry.path / "registry.json"
    if damage == "has a bit that fell over":
        marker.write_bytes(marker.read_bytes().replace(b'"schema"', b'"schemb"'))
    else:
        DAMAGES[damage](marker)
    with pytest.raises(
        RegistryError, match=r"registry\.json: cannot be read|is not a registry, it has no registry\.json"
    ):
        registry.names()


def test_a_registry_of_a_later_convfleet_is_refused(registry: Registry) -> None:
    (registry.path / "registry.json").write_text(json.dumps({"schema": 2}), encoding="utf-8")
    with pytest.raises(RegistryError, match="schema must be 1, got 2; a later convfleet made this registry"):
        registry.names()


def test_an_entry_of_another_model_or_place_is_found(registry: Registry) -> None:
    history = registry.path / "models" / "digits" / "history"
    shutil.copy(registry.path / "models" / "flowers" / "history" / "00000001.json", history / "00000003.json")
    with pytest.raises(RegistryError, match=r"00000003\.json: is not as it was written, or one before it is not"):
        registry.model("digits")
    shutil.copytree(registry.path / "models" / "flowers", registry.path / "models" / "roses")
    with pytest.raises(RegistryError, match=r"00000001\.json: adds version 1 of flowers, where 1 is next"):
        registry.model("roses")


def test_entries_that_name_places_outside_are_refused(registry: Registry) -> None:
    path = registry.path / "models" / "digits" / "history" / "00000001.json"
    raw = json.loads(path.read_bytes())
    del raw["crc"]
    good = json.dumps(raw, separators=(",", ":"))
    for bad in (
        good.replace('"model.keras":', '"../../model.keras":'),
        re.sub(r'"sha256":"[0-9a-f]{64}"', '"sha256":"../../../etc/passwd"', good, count=1),
    ):
        assert bad != good
        path.write_bytes(with_checksum(bad.encode(), before=0)[0])
        with pytest.raises(RegistryError, match=r"00000001\.json: is not an entry of a registry \(ValueError: file "):
            registry.model("digits")


def outside(export: Path) -> None:
    content = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    del content["manifest_sha256"]
    (export.parent / "up").write_bytes(b"above")
    content["files"] = {"../up": fingerprint_of(b"above")}
    (export / MANIFEST).write_text(json.dumps(sealed(content)), encoding="utf-8")


#: What is wrong with an export, and what the message says.
BAD_EXPORTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (lambda export: (export / "model.keras").write_bytes(b"b model"), "model.keras is not as it was"),
    "a missing file": (lambda export: (export / "model.keras").unlink(), "model.keras is (missing|not as it was)"),
    "a changed manifest": (
        lambda export: (export / MANIFEST).write_text(
            (export / MANIFEST).read_text(encoding="utf-8").replace("0.9", "1.9"), encoding="utf-8"
        ),
        "manifest.json (is damaged: )?has changed",
    ),
    "a torn manifest": (lambda export: (export / MANIFEST).write_bytes(b"{"), "manifest.json (is damaged|cannot be)"),
    "a list for a manifest": (
        lambda export: (export / MANIFEST).write_bytes(b"[]"),
        "manifest.json (is damaged|cannot)",
    ),
    "no study": (
        lambda export: write_export(export, study=None),
        r"manifest.json: study: must be a text, got None; make the export anew with `convfleet export RUN`",
    ),
    "words for a rank": (lambda export: write_export(export, rank="best"), "rank: must be a whole number, got 'best'"),
    "a file above": (outside, r"files: '\.\./up' is no file of an export"),
}


@pytest.mark.parametrize("bad", BAD_EXPORTS)
@pytest.mark.parametrize("is_new", [True, False], ids=["the first of a registry", "one more"])
def test_a_damaged_export_is_refused_and_changes_nothing(tmp_path: Path, bad: str, is_new: bool) -> None:
    registry = Registry(tmp_path / "registry")
    if not is_new:
        registry.add(write_export(tmp_path / "first"), name="digits")
    export = write_export(tmp_path / "export")
    damage, message = BAD_EXPORTS[bad]
    damage(export)
    before = sorted(registry.path.rglob("*"))
    with pytest.raises(RegistryError, match=message):
        registry.add(export, name="digits")
    ours = [path for path in registry.path.rglob("*") if path.name not in ("incoming",)]
    assert sorted(ours) == [path for path in before if path.name not in ("incoming",)]
