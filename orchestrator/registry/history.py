"""A model's history on disk: entry n is the file of number n, which appears whole and once, and never changes.

A file holds one line of JSON with a checksum of itself and of all entries before it. A new file takes the next number
by a hard link, which the file system refuses if the number is taken: of two writers, one wins, whether locks hold or
not.
"""

import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import RegistryError
from orchestrator.journal.checksums import checksum_of, is_right, with_checksum
from orchestrator.registry.entries import Entry, entry_from_json, entry_to_json
from orchestrator.registry.folder import RegistryFolder, entry_name
from orchestrator.registry.names import is_model_name, what_there_is
from orchestrator.registry.state import NamedModel
from orchestrator.text import shown
from trainables.files.folders import sync, write_new

_ENTRY = re.compile(r"(\d{8})\.json")
_LARGEST_ENTRY_BYTES = 10_000_000
#: A listing may miss a file that appears meanwhile, and show a later one.
_LOOKS = 3


def model_names(folder: RegistryFolder) -> list[str]:
    """Returns the names of the models that have a history."""
    if folder.bucket is not None:
        folder.bucket.look()
    try:
        with os.scandir(folder.models) as entries:
            names = [entry.name for entry in entries if is_model_name(entry.name)]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _numbers(folder.history(name)))


def count_changes(folder: RegistryFolder) -> dict[str, int]:
    """Returns how many entries each model's history has: a cheap look that shows which models have changed."""
    return {name: len(_numbers(folder.history(name))) for name in model_names(folder)}


def read_model(folder: RegistryFolder, name: str) -> NamedModel:
    """Returns a model as its history leaves it at this moment; one without entries if there is no such model.

    Raises:
        RegistryError: If a file of the history is damaged or missing.
    """
    if folder.bucket is not None:
        folder.bucket.look(folder.history(name).relative_to(folder.root).as_posix())
    model, before, history = NamedModel(name=name), 0, str(folder.history(name))
    for number in range(1, _count_entries(folder, name) + 1):
        line = _line(f"{history}/{entry_name(number)}")
        try:
            if line is None or not is_right(line, before=before):
                raise RegistryError("is not as it was written, or one before it is not")
            before = checksum_of(line) or 0
            model.apply(entry_from_json(json.loads(line)))
        except (RegistryError, ValueError, RecursionError) as exc:
            raise RegistryError(f"{folder.named(folder.entry(name, number))}: {exc}; {_way_out(folder, name)}") from exc
    return model


def known_model(folder: RegistryFolder, name: str) -> NamedModel:
    """Returns a model of the registry.

    Raises:
        RegistryError: If there is no such model; lists those that there are.
    """
    # What is no model's name may be no file's either, or lead out of the registry.
    model = read_model(folder, name) if is_model_name(name) else NamedModel(name=name)
    if not model.num_entries:
        raise RegistryError(
            f"{folder}: no model is called {shown(name)}{what_there_is(name, model_names(folder), kind='models')}"
        )
    return model


def append_entry(folder: RegistryFolder, model: NamedModel, entry: Entry) -> None:
    """Writes the entry that follows a model's history.

    Raises:
        FileExistsError: If another writer has written the entry of that number; nothing was changed.
        OSError: If the system refuses the file.
        RegistryError: If the bucket does.
    """
    last = _line(str(folder.entry(model.name, model.num_entries))) if model.num_entries else b""
    content = json.dumps(entry_to_json(entry), separators=(",", ":")).encode()
    line, _ = with_checksum(content, before=checksum_of(last or b"") or 0)
    target = folder.entry(model.name, model.num_entries + 1)
    if folder.bucket is not None:
        folder.bucket.create(target.relative_to(folder.root).as_posix(), line)
        return
    _make_folder(folder, target.parent)
    draft = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        write_new(draft, line, is_durable=True)
        draft.chmod(0o600)
        os.link(draft, target)
    finally:
        with suppress(OSError):
            draft.unlink()
    sync(target.parent)


def remove_drafts(folder: RegistryFolder, name: str) -> None:
    """Removes what killed writers left in a model's history; only the holder of the lock may."""
    for draft in folder.history(name).glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def _make_folder(folder: RegistryFolder, history: Path) -> None:
    if history.is_dir():
        return
    history.mkdir(mode=0o700, parents=True, exist_ok=True)
    for above in (history.parent, folder.models, folder.root):
        sync(above)


def _count_entries(folder: RegistryFolder, name: str) -> int:
    """Returns how many entries a model has.

    Raises:
        RegistryError: If one between them is missing.
    """
    missing = 0
    for _ in range(_LOOKS):
        numbers = sorted(_numbers(folder.history(name)))
        missing = next((number for number, found in enumerate(numbers, start=1) if number != found), 0)
        if not missing:
            return len(numbers)
    raise RegistryError(f"{folder.named(folder.entry(name, missing))}: is missing; {_way_out(folder, name)}")


def _numbers(history: Path) -> list[int]:
    try:
        with os.scandir(history) as entries:
            return [int(found[1]) for entry in entries if (found := _ENTRY.fullmatch(entry.name))]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _line(path: str) -> bytes | None:
    """Returns the one line of an entry, without its break; None if the file is no entry or cannot be read."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST_ENTRY_BYTES:
                return None
            content = file.read()
    except OSError:
        return None
    return content[:-1] if content.endswith(b"\n") and content.count(b"\n") == 1 else None


def _at_once(path: str, flags: int) -> int:
    # Otherwise opening a pipe waits for a writer.
    return os.open(path, flags | os.O_NONBLOCK)


def _way_out(folder: RegistryFolder, name: str) -> str:
    return (
        f"restore it from a backup, or move {folder.named(folder.models / name)} away and add the exports of {name} "
        "again; other models are not touched"
    )
