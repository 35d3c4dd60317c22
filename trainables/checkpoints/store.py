"""A trial's checkpoints in remote storage: uploaded beside the training, fetched if this node has none or an older one.

A checkpoint's manifest is uploaded last and verified after a download, so an incomplete one counts as none.
`.elsewhere.json` beside the checkpoints marks those that are uploaded, by the hash of their manifests.

Each start of a worker leaves an empty object with its number, as `owner` names folders. A worker looks for a later one
before it uploads and again before it deletes. Object storage has no rename that would do both in one step: a request
that is on its way when a later worker starts is still done.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, newest_checkpoint, saved_epochs
from trainables.checkpoints.owner import Owner, owner_name, start_of
from trainables.errors import CheckpointError, RemoteError
from trainables.files.folders import delete_draft, new_draft, put_in_place
from trainables.files.manifests import MANIFEST
from trainables.files.remote import RemoteFolder
from trainables.files.uploads import UPLOADER
from trainables.files.uris import shown_uri
from trainables.files.whole import replace_file

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
_MARKS = ".elsewhere.json"
#: Seconds between tries of a fetch without which a trial would begin anew.
_RETRY_SECONDS = (1, 2, 4, 8, 15, 30, 30, 30)


class CheckpointStore:
    """The checkpoints of one trial, on this node and in remote storage.

    Args:
        remote: The URI of the run in remote storage; None: there is none, and no method does anything.
        trial: The trial's name.
        folder: Its folder of checkpoints on this node.
        owner: The worker that trains the trial; None: nobody does.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        remote: str | None,
        *,
        trial: str,
        folder: Path,
        owner: Owner | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._remote = remote
        self._trial = trial
        self._folder = folder
        self._owner = owner
        self._sleep = sleep
        #: Whether a later worker of the trial was seen in remote storage.
        self.is_superseded = False

    def fetch(self, *, variant_id: str, is_needed: bool) -> None:
        """Downloads the newest valid checkpoint if it is newer than those of this node.

        Args:
            is_needed: Whether the trial has reports already, which a training from the beginning would repeat.

        Raises:
            OSError: One is needed, this node has none, and the storage does not answer.
        """
        if self._remote is None:
            return
        newest = newest_checkpoint(self._folder, variant_id=variant_id)
        delays = iter(_RETRY_SECONDS if is_needed and newest is None else ())
        while True:
            try:
                self._fetch_newest(variant_id, than=newest.epoch if newest else 0)
            except RemoteError as exc:
                delay = None if exc.is_lasting else next(delays, None)
                if delay is None and is_needed and newest is None:
                    raise OSError(f"{self._trial}: its checkpoints cannot be fetched: {exc}") from exc
                if delay is None:
                    logger.warning('trial=%s decision=go-on-without reason="%s"', self._trial, exc)
                    return
                self._sleep(delay)
            else:
                return

    def fetch_epoch(self, epoch: int, *, variant_id: str) -> None:
        """Downloads a checkpoint that is not valid on this node; does nothing if the run is kept on this node alone.

        Raises:
            CheckpointError: It is not valid in remote storage either, or the storage does not answer.
        """
        if self._remote is None:
            return
        try:
            _download(self._remote_folder(), self._folder, epoch=epoch, variant_id=variant_id)
        except RemoteError as exc:
            raise CheckpointError(f"{checkpoint_folder(self._folder, epoch=epoch)}: is not here, and {exc}") from exc

    def changed(self, *, keep: Iterable[int]) -> None:
        """Begins to upload new checkpoints and to delete remote ones that are neither on this node nor to keep."""
        if self._remote is not None:
            kept = frozenset(keep)
            UPLOADER.put(str(self._folder), lambda: self._sync(kept))

    def wait_for_uploads(self) -> str:
        """Waits until all checkpoints are uploaded; returns why they are not if the storage fails, else ""."""
        return UPLOADER.finish_uploads(str(self._folder))

    def epochs(self) -> list[int]:
        """Returns the epochs of the checkpoints in remote storage, ascending; none where there is no storage.

        Raises:
            RemoteError: The storage does not answer.
        """
        return [] if self._remote is None else whole_epochs(self._remote_folder().files())

    def upload(self) -> None:
        """Uploads the checkpoints that only this node has, and deletes none.

        Raises:
            RemoteError: The storage does not take them.
        """
        if self._remote is not None:
            upload_trial(self._remote_folder(), self._folder)

    def _sync(self, keep: frozenset[int]) -> None:
        self.is_superseded = self.is_superseded or not sync_trial(
            self._remote_folder(), self._folder, keep=keep, owner=self._owner
        )

    def _remote_folder(self) -> RemoteFolder:
        return RemoteFolder.open(self._remote or "").child(CHECKPOINTS).child(self._trial)

    def _fetch_newest(self, variant_id: str, *, than: int) -> None:
        remote = self._remote_folder()
        for epoch in reversed(whole_epochs(remote.files())):
            if epoch <= than:
                return
            try:
                through = None if self._owner is None else self._owner.folder
                _download(remote, self._folder, epoch=epoch, variant_id=variant_id, through=through)
            except CheckpointError as exc:
                logger.warning('trial=%s epoch=%d decision=pass-over reason="%s"', self._trial, epoch, exc)
            else:
                return


def sync_trial(remote: RemoteFolder, folder: Path, *, keep: frozenset[int], owner: Owner | None = None) -> bool:
    """Uploads the checkpoints of a trial that only this node has, then deletes those that are no longer needed.

    Args:
        keep: Epochs whose checkpoints stay in remote storage whether this node has them or not.
        owner: The worker that trains the trial; None: nobody else does.

    Returns:
        Whether no later worker has the trial; nothing more is changed once one has.
    """
    if owner is not None and not _owns(remote, owner):
        return False
    upload_trial(remote, folder)
    kept = keep | set(saved_epochs(folder))
    newest = max(kept, default=0)
    names = remote.files()
    if owner is not None and _has_later(names, owner):
        return False
    # The manifest first: a checkpoint without one counts as none.
    for name in sorted(names, key=lambda name: not name.endswith(MANIFEST)):
        # Never a newer one: this worker's driver may be dead, and another worker may go on with the trial.
        if (epoch := _epoch_of(name)) is not None and epoch < newest and epoch not in kept:
            remote.delete(name)
    return True


def _owns(remote: RemoteFolder, owner: Owner) -> bool:
    """Returns whether a worker has the trial, after leaving its mark if that is not there yet."""
    names = remote.files()
    if (mark := owner_name(owner.start)) not in names and not _has_later(names, owner):
        remote.write(mark, b"")
        # Written before it is read again: of two at once at least one sees the other.
        names = remote.files()
    if _has_later(names, owner):
        return False
    for name in names:
        if (start := start_of(name)) is not None and start < owner.start:
            remote.delete(name)
    return True


def _has_later(names: Iterable[str], owner: Owner) -> bool:
    return any(start > owner.start for name in names if (start := start_of(name)) is not None)


def upload_trial(remote: RemoteFolder, folder: Path, *, known: Container[int] | None = None) -> None:
    """Uploads the checkpoints of a trial that only this node has.

    Args:
        known: The epochs that remote storage was just seen to have; None: the marks decide.
    """
    marks = _marks(folder)
    for epoch in saved_epochs(folder):
        source = checkpoint_folder(folder, epoch=epoch)
        try:
            manifest = (source / MANIFEST).read_bytes()
            mark = _mark(manifest, remote)
            if marks.get(source.name) == mark and (known is None or epoch in known):
                continue
            _upload(remote.child(source.name), source, manifest=manifest)
        except FileNotFoundError:
            continue  # pruned meanwhile, because a newer one exists
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


def _upload(remote: RemoteFolder, source: Path, *, manifest: bytes) -> None:
    before = remote.read(MANIFEST)
    if before == manifest:
        return
    if before is not None:
        # Of another run of this epoch: its manifest must never stand beside our files.
        remote.delete(MANIFEST)
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            remote.upload(path, path.relative_to(source).as_posix())
    remote.write(MANIFEST, manifest)


def _download(remote: RemoteFolder, folder: Path, *, epoch: int, variant_id: str, through: Path | None = None) -> None:
    """Downloads a checkpoint, whole and verified or not at all."""
    target = checkpoint_folder(folder, epoch=epoch)
    # Not in the worker's own folder, which a download would make again if it was taken away meanwhile.
    draft = new_draft(target)
    try:
        for name in remote.files(target.name):
            remote.download(name, draft / Path(name).relative_to(target.name))
        load_checkpoint(draft, variant_id=variant_id)
        put_in_place(draft, target, is_durable=False, through=through)
    finally:
        delete_draft(draft)
    mark = _mark((target / MANIFEST).read_bytes(), remote)
    _write_marks(folder, {**_marks(folder), target.name: mark})


def _mark(manifest: bytes, remote: RemoteFolder) -> str:
    # The URI is part of the mark: a run may get another one.
    return hashlib.sha256(shown_uri(remote.uri).encode() + manifest).hexdigest()


def _marks(folder: Path) -> dict[str, str]:
    try:
        marks = json.loads((folder / _MARKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marks if isinstance(marks, dict) else {}


def _write_marks(folder: Path, marks: dict[str, str]) -> None:
    kept = {name: mark for name, mark in marks.items() if (folder / name).is_dir()}
    replace_file(folder / _MARKS, json.dumps(kept), is_durable=False)
