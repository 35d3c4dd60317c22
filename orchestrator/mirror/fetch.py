"""Fetches a run from the storage into a run folder on this machine."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import yaml

from orchestrator.errors import InputError, RunFolderError
from orchestrator.mirror.files import EXPORTS, FAILURES
from orchestrator.mirror.journal import read_remote_journal, take_longer
from orchestrator.mirror.places import patiently
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.lock import driver_lock, is_driver_alive
from orchestrator.runs.paths import RUNS, RunFolder
from trainables.files.manifests import MANIFEST, fingerprints
from trainables.files.remote import RemoteFolder
from trainables.files.uris import is_uri, parent_uri, shown_uri, uri_problem
from trainables.files.whole import write_whole

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._-]*")

#: The small files of a run, which are fetched with its journal.
_SMALL = (
    "study.yaml",
    "environment.json",
    "trials.parquet",
    "epochs.parquet",
    "augmented.png",
    "contact-sheet.png",
    "references.json",
)


def fetched_run(text: str, *, runs: Path = RUNS, with_files: bool = False) -> Path:
    """Returns the folder of a run; fetches what `runs/<name>` lacks if the text is a URI.

    Args:
        text: A path, or the URI of a run in a storage.
        runs: The folder that fetched runs lie in.
        with_files: Whether to fetch exports and tracebacks as well.

    Raises:
        InputError: If the text is no URI of a run.
        RunFolderError: If there is no such run, or the folder on this machine is another run's.
    """
    if not is_uri(text):
        return Path(text)
    if problem := uri_problem(text):
        raise InputError(f"RUN: {problem}" + (f", got {text!r}" if problem.startswith("must") else ""))
    parent, name = parent_uri(text)
    name = unquote(name)
    if not _NAME.fullmatch(name):
        raise InputError(f"{shown_uri(text)}: must end with the name of a run, such as s3://bucket/runs/quickstart")
    return patiently(lambda: _fetch(text, runs / name, parent=parent, with_files=with_files), uri=text)


def _fetch(uri: str, root: Path, *, parent: str, with_files: bool) -> Path:
    remote, folder = RemoteFolder.open(uri), RunFolder(root)
    study = remote.read("study.yaml")
    if study is None or not read_remote_journal(remote).data:
        raise RunFolderError(
            f"{shown_uri(uri)}: no such run; give the storage.uri of its study and its name, such as "
            "s3://bucket/runs/quickstart"
        )
    if root.exists():
        open_run_folder(root)
        if is_driver_alive(folder):
            return root  # the storage has all of it from that driver
    else:
        _make(folder, remote=remote)
    with driver_lock(folder):
        take_longer(folder, remote)
        before = folder.study.read_bytes()
        if (study := _with_uri(before, parent, where=folder.study)) != before:
            write_whole(folder.study, study)
        if with_files:
            _fetch_files(remote, folder)
    return root


def _make(folder: RunFolder, *, remote: RemoteFolder) -> None:
    """Makes a run folder from the storage, whole or not at all."""
    draft = folder.root.with_name(f".{folder.root.name}.fetched")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    try:
        for name in _SMALL:
            if (data := remote.read(name)) is not None:
                write_whole(draft / name, data)
        take_longer(RunFolder(draft), remote)
        draft.rename(folder.root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _with_uri(study: bytes, uri: str, *, where: Path) -> bytes:
    """Returns a study file with the URI that the run was fetched from, as users copy and rename buckets."""
    try:
        content = yaml.safe_load(study)
        storage = content.get("storage") or {}
        if storage == uri or storage.get("uri") == uri:
            return study
        content["storage"] = {**storage, "uri": uri}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as exc:
        raise RunFolderError(f"{where}: is not a study file ({type(exc).__name__}); restore it from a backup") from exc
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).encode()


def _fetch_files(remote: RemoteFolder, folder: RunFolder) -> None:
    for name in remote.files(FAILURES):
        if not (folder.root / name).exists():
            remote.download(name, folder.root / name)
    files = list(remote.files(EXPORTS))
    for key in files:
        name = key.split("/")[1]
        if key == f"{EXPORTS}/{name}/{MANIFEST}" and not (folder.exports / name).exists():
            _fetch_export(remote, folder, name=name, files=[file for file in files if file.split("/")[1] == name])


def _fetch_export(remote: RemoteFolder, folder: RunFolder, *, name: str, files: list[str]) -> None:
    draft = folder.exports / f".{name}.fetched"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for key in files:
            remote.download(key, draft / Path(key).relative_to(EXPORTS, name))
        if _files_of(draft / MANIFEST) == fingerprints(draft):
            draft.rename(folder.exports / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files_of(manifest: Path) -> object:
    try:
        return json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError):
        return None  # damaged: the user can export the model again
