"""A trial's checkpoints elsewhere: uploaded behind the training, fetched where this node has none or an older one.

A checkpoint's manifest is uploaded last and verified after a download, so one that is half there counts as none. Which
checkpoints are elsewhere already stands beside them in `.elsewhere.json`, by the hash of their manifests.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, newest_checkpoint, saved_epochs
from trainables.errors import CheckpointError, RemoteError
from trainables.files.manifests import MANIFEST
from trainables.files.remote import RemoteFolder
from trainables.files.uploads import UPLOADER
from trainables.files.uris import shown_uri
from trainables.files.whole import replace_file

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
_MARKS = ".elsewhere.json"
#: Between tries of a fetch without which a trial would begin anew, seconds.
_RETRY_SECONDS = (1, 2, 4, 8, 15, 30, 30, 30)


class CheckpointStore:
    """The checkpoints of one trial, here and elsewhere.

    Args:
        remote: The URI of the run; None: kept nowhere else, and nothing here does anything.
        trial: The trial's name.
        folder: Its folder of checkpoints on this node.
        sleep: Waits so many seconds.
    """

    def __init__(
        self, remote: str | None, *, trial: str, folder: Path, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._remote = remote
        self._trial = trial
        self._folder = folder
        self._sleep = sleep

    def fetch(self, *, variant_id: str, is_needed: bool) -> None:
        """Brings the newest valid checkpoint here if it is newer than what is here.

        Args:
            is_needed: Whether the trial has reports already, so that beginning anew would train much again.

        Raises:
            OSError: If nothing is here and the storage does not answer, only where it is needed.
        """
        if self._remote is None:
            return
        here = newest_checkpoint(self._folder, variant_id=variant_id)
        delays = iter(_RETRY_SECONDS if is_needed and here is None else ())
        while True:
            try:
                self._fetch_newest(variant_id, than=here.epoch if here else 0)
            except RemoteError as exc:
                delay = None if exc.is_lasting else next(delays, None)
                if delay is None and is_needed and here is None:
                    raise OSError(f"{self._trial}: its checkpoints cannot be fetched: {exc}") from exc
                if delay is None:
                    logger.warning('trial=%s decision=go-on-without reason="%s"', self._trial, exc)
                    return
                self._sleep(delay)
            else:
                return

    def fetch_epoch(self, epoch: int, *, variant_id: str) -> None:
        """Brings a checkpoint here that is not valid here; nothing happens where there is no place elsewhere.

        Raises:
            CheckpointError: If it is not valid there either, or the storage does not answer.
        """
        if self._remote is None:
            return
        try:
            _download(self._there(), self._folder, epoch=epoch, variant_id=variant_id)
        except RemoteError as exc:
            raise CheckpointError(f"{checkpoint_folder(self._folder, epoch=epoch)}: is not here, and {exc}") from exc

    def changed(self, *, keep: Iterable[int]) -> None:
        """Begins to upload what was saved here, and to remove there what is neither here nor to keep."""
        if self._remote is not None:
            kept = frozenset(keep)
            UPLOADER.put(str(self._folder), lambda: sync_trial(self._there(), self._folder, keep=kept))

    def wait_for_uploads(self) -> str:
        """Waits until everything is elsewhere; returns why it is not where the storage does not do its part."""
        return UPLOADER.finish_uploads(str(self._folder))

    def _there(self) -> RemoteFolder:
        return RemoteFolder.open(self._remote or "").child(CHECKPOINTS).child(self._trial)

    def _fetch_newest(self, variant_id: str, *, than: int) -> None:
        there = self._there()
        for epoch in reversed(whole_epochs(there.files())):
            if epoch <= than:
                return
            try:
                _download(there, self._folder, epoch=epoch, variant_id=variant_id)
            except CheckpointError as exc:
                logger.warning('trial=%s epoch=%d decision=pass-over reason="%s"', self._trial, epoch, exc)
            else:
                return


def sync_trial(there: RemoteFolder, folder: Path, *, keep: frozenset[int]) -> None:
    """Uploads the checkpoints of a trial that are here only, then removes those that are not wanted any more.

    Args:
        keep: Epochs whose checkpoints stay there whether they are here or not.
    """
    upload_trial(there, folder)
    kept = keep | set(saved_epochs(folder))
    newest = max(kept, default=0)
    # The manifest first: what is left of a checkpoint without one counts as none.
    for name in sorted(there.files(), key=lambda name: not name.endswith(MANIFEST)):
        # Never a newer one: this worker may be one of a driver that is gone, and another goes on with the trial.
        if (epoch := _epoch_of(name)) is not None and epoch < newest and epoch not in kept:
            there.delete(name)


def upload_trial(there: RemoteFolder, folder: Path, *, known: Container[int] | None = None) -> None:
    """Uploads the checkpoints of a trial that are here only.

    Args:
        known: The epochs that were just seen there; None: the marks are believed.
    """
    marks = _marks(folder)
    for epoch in saved_epochs(folder):
        source = checkpoint_folder(folder, epoch=epoch)
        try:
            manifest = (source / MANIFEST).read_bytes()
            mark = _mark(manifest, there)
            if marks.get(source.name) == mark and (known is None or epoch in known):
                continue
            _upload(there.child(source.name), source, manifest=manifest)
        except FileNotFoundError:
            continue  # pruned meanwhile: a newer one has taken its place
        marks[source.name] = mark
        _write_marks(folder, marks)


def whole_epochs(names: Iterable[str]) -> list[int]:
    """Returns the epochs of the checkpoints among these files that have a manifest, ascending.

    >>> whole_epochs(["epoch-0002/manifest.json", "epoch-0002/state.safetensors", "epoch-0003/state.safetensors"])
    [2]
    """
    epochs = {_epoch_of(name) for name in names if name.endswith(f"/{MANIFEST}")}
    return sorted(epoch for epoch in epochs if epoch is not None)


def _epoch_of(name: str) -> int | None:
    text = name.partition("/")[0].removeprefix("epoch-")
    return int(text) if text.isdecimal() else None


def _upload(there: RemoteFolder, source: Path, *, manifest: bytes) -> None:
    before = there.read(MANIFEST)
    if before == manifest:
        return
    if before is not None:
        # Another run of this epoch: never its manifest with our files.
        there.delete(MANIFEST)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            there.upload(path, path.relative_to(source).as_posix())
    there.write(MANIFEST, manifest)


def _download(there: RemoteFolder, folder: Path, *, epoch: int, variant_id: str) -> None:
    """Brings a checkpoint here, whole and verified or not at all."""
    target = checkpoint_folder(folder, epoch=epoch)
    draft = folder / f".{target.name}.fetched"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name in there.files(target.name):
            there.download(name, draft / Path(name).relative_to(target.name))
        load_checkpoint(draft, variant_id=variant_id)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    mark = _mark((target / MANIFEST).read_bytes(), there)
    _write_marks(folder, {**_marks(folder), target.name: mark})


def _mark(manifest: bytes, there: RemoteFolder) -> str:
    # The place is part of it: a run may be given another one.
    return hashlib.sha256(shown_uri(there.uri).encode() + manifest).hexdigest()


def _marks(folder: Path) -> dict[str, str]:
    try:
        marks = json.loads((folder / _MARKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marks if isinstance(marks, dict) else {}


def _write_marks(folder: Path, marks: dict[str, str]) -> None:
    kept = {name: mark for name, mark in marks.items() if (folder / name).is_dir()}
    replace_file(folder / _MARKS, json.dumps(kept), is_durable=False)
