"""The export that a user names, by its folder or by its run, read and checked before a version is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.journal.reading import load_state
from orchestrator.registry.blobs import copy_and_hash
from orchestrator.registry.names import is_plain_path, is_sha256
from orchestrator.results.from_state import export_path
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.paths import RunFolder
from orchestrator.text import shown
from trainables.files.manifests import MANIFEST, content_of_manifest, damage_of

_TEXT, _NUMBER, _MAPPING, _LIST = (str, "a text"), (int, "a whole number"), (dict, "a mapping"), (list, "a list")
#: What the registry needs of a manifest, and what it must be.
_KEYS: Mapping[str, tuple[type, str]] = {
    "study": _TEXT,
    "trial": _TEXT,
    "rank": _NUMBER,
    "epoch": _NUMBER,
    "variant": _MAPPING,
    "num_parameters": _NUMBER,
    "metrics": _MAPPING,
    "test_metrics": _MAPPING,
    "dataset_fingerprint": _TEXT,
    "inputs": _LIST,
    "outputs": _LIST,
    "files": _MAPPING,
}
_NOT_OF_A_VERSION = ("inputs", "outputs", "files")
_AGAIN = "make the export anew with `convfleet export RUN`"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedExport:
    """An export whose files were copied into a draft under the names of their sha256.

    Attributes:
        facts: What a version takes from the manifest.
        files: Size and sha256 of each file, the manifest among them.
    """

    facts: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]


def export_folder(source: Path, *, rank: int | None) -> Path:
    """Returns the folder of the export that a user names.

    Args:
        source: An export's folder, or a run folder.
        rank: Which export of a run; None: the best.

    Raises:
        RegistryError: If there is none.
    """
    if rank is not None and rank < 1:
        raise RegistryError(f"rank: must be 1 or more, got {rank}; 1 is the best model of a run")
    if (source / MANIFEST).is_file():
        if rank is not None:
            raise RegistryError(f"rank: {source} is one export; leave the rank out, or give its run folder")
        return source
    if RunFolder(source).study.is_file():
        return _export_of_run(source, rank=1 if rank is None else rank)
    below = sorted(path.parent.name for path in source.glob(f"*/{MANIFEST}")) if source.is_dir() else []
    found = f"; exports in it: {', '.join(below)}" if below else ""
    what = f"has neither {MANIFEST} nor study.yaml" if source.is_dir() else "no such export or run"
    raise RegistryError(
        f"{source}: {what}; give a run folder such as runs/quickstart, or an export such as "
        f"runs/quickstart/exports/1-t0007{found}"
    )


def check_export(export: Path) -> None:
    """Makes sure that all files of an export are as they were exported.

    Raises:
        RegistryError: If one is not.
    """
    if damage := damage_of(export):
        raise RegistryError(f"{export}: {damage}; {_AGAIN}")
    _manifest(export / MANIFEST, export=export)


def staged(export: Path, *, draft: Path) -> StagedExport:
    """Copies the files of an export into a draft and returns what a version is made of.

    Raises:
        RegistryError: If a file is not as it was exported, or the manifest is none.
        OSError: If the system refuses a file.
    """
    copied = copy_and_hash(_file(export, MANIFEST), draft / MANIFEST, is_durable=True)
    content = _manifest(draft / MANIFEST, export=export)
    (draft / MANIFEST).rename(draft / copied["sha256"])
    files: dict[str, Mapping[str, Any]] = {MANIFEST: copied}
    for name, expected in content["files"].items():
        temporary = draft / f"{len(files)}.copy"
        found = copy_and_hash(_file(export, name), temporary, is_durable=True)
        if found != {key: expected.get(key) for key in found}:
            raise RegistryError(f"{export}: {name} is not as it was exported; {_AGAIN}")
        temporary.replace(draft / found["sha256"])
        files[name] = found
    return StagedExport(facts={key: content[key] for key in _KEYS if key not in _NOT_OF_A_VERSION}, files=files)


def _export_of_run(root: Path, *, rank: int) -> Path:
    folder = open_run_folder(root)
    exports = {item.rank: export_path(item, folder=folder) for item in load_state(folder).exports}
    there = sorted(number for number, path in exports.items() if (path / MANIFEST).is_file())
    if rank not in there:
        known = f"exported are ranks {', '.join(map(str, there))}" if there else "it has no exports"
        raise RegistryError(
            f"{root}: no model of rank {rank} was exported, {known}; run `convfleet export {folder.quoted} "
            f"--top {rank}`"
        )
    return exports[rank]


def _file(export: Path, name: str) -> Path:
    path = export / name
    if not path.is_file():
        raise RegistryError(f"{export}: {name} is missing; {_AGAIN}")
    return path


def _manifest(path: Path, *, export: Path) -> dict[str, Any]:
    """Returns the content of a manifest that a version can be made of."""
    try:
        content = content_of_manifest(path)
    except ValueError as exc:
        raise RegistryError(f"{export}: {MANIFEST} is damaged: {exc}; {_AGAIN}") from exc
    problems = [
        f"{export}: {MANIFEST}: {key}: must be {words}, got {shown(content.get(key))}; {_AGAIN}"
        for key, (kind, words) in _KEYS.items()
        if not isinstance(content.get(key), kind)
    ]
    problems = problems or [
        f"{export}: {MANIFEST}: files: {shown(name)} is no file of an export; {_AGAIN}"
        for name, file in content["files"].items()
        if name == MANIFEST
        or not is_plain_path(name)
        or not isinstance(file, dict)
        or not is_sha256(file.get("sha256"))
    ]
    if problems:
        raise RegistryError("\n".join(problems))
    return content
