"""Uploads what a run folder holds besides the journal: small files when they change, exports and checkpoints whole."""

from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.runs.paths import RunFolder
from trainables.checkpoints.store import CHECKPOINTS, upload_trial, whole_epochs
from trainables.files.manifests import MANIFEST
from trainables.files.remote import RemoteFolder

EXPORTS = "exports"
FAILURES = "failures"


class FileMirror:
    """Uploads files of a run folder to the storage.

    Every method raises RemoteError if the storage refuses a file; files that it took are not uploaded again.

    Args:
        folder: The run folder on this machine.
        remote: The run in the storage.
        beat: Renews the heartbeat; called before every file, so that other drivers see a long upload go on. Its errors
            end the upload.
    """

    def __init__(self, folder: RunFolder, *, remote: RemoteFolder, beat: Callable[[], None]) -> None:
        self._folder = folder
        self._remote = remote
        self._beat = beat
        #: Time and size of each file when it was uploaded.
        self._sent: dict[str, tuple[int, int]] = {}

    def upload_study(self) -> None:
        """Uploads the study file if it changed; called first, as the rest of a run follows from it."""
        self._upload_changed(self._folder.study)

    def upload_small(self) -> None:
        """Uploads files that changed since the last time."""
        for path in self._small():
            self._upload_changed(path)

    def upload_exports(self) -> None:
        """Uploads exports that the storage lacks, manifests last, and removes those whose rank another export took."""
        names = [path.name for path in self._folder.exports.glob("[!.]*") if (path / MANIFEST).is_file()]
        for name in sorted(names):
            manifest = self._folder.exports / name / MANIFEST
            key = f"{EXPORTS}/{name}/{MANIFEST}"
            if self._sent.get(key) != _stamp(manifest):
                self._upload_export(manifest)
        ranks = {name.partition("-")[0] for name in names}
        if ranks:
            for key in sorted(self._remote.files(EXPORTS), key=lambda key: not key.endswith(MANIFEST)):
                name = key.split("/")[1]
                if name not in names and name.partition("-")[0] in ranks:
                    self._remote.delete(key)

    def upload_checkpoints(self) -> None:
        """Uploads checkpoints on this machine that their workers could not upload; removes nothing."""
        trials = [path for path in sorted(self._folder.checkpoints.glob("[!.]*")) if path.is_dir()]
        if not trials:
            return
        checkpoints = self._remote.child(CHECKPOINTS)
        names: dict[str, list[str]] = {}
        for file in checkpoints.files():
            trial, _, name = file.partition("/")
            names.setdefault(trial, []).append(name)
        for path in trials:
            self._beat()
            upload_trial(checkpoints.child(path.name), path, known=whole_epochs(names.get(path.name, ())))

    def _small(self) -> Iterator[Path]:
        folder = self._folder
        yield from (
            folder.environment,
            folder.augmented,
            folder.contact_sheet,
            folder.references,
            folder.trials,
            folder.epochs,
            folder.report,
            folder.optuna,
        )
        yield from sorted(folder.failures.glob("[!.]*"))

    def _upload_changed(self, path: Path) -> None:
        key = path.relative_to(self._folder.root).as_posix()
        try:
            stamp = _stamp(path)
            if self._sent.get(key) == stamp:
                return
            self._beat()
            self._remote.upload(path, key)
        except FileNotFoundError:
            return  # not every run has every file
        self._sent[key] = stamp

    def _upload_export(self, manifest: Path) -> None:
        source = manifest.parent
        target = self._remote.child(EXPORTS).child(source.name)
        try:
            stamp, data = _stamp(manifest), manifest.read_bytes()
            before = target.read(MANIFEST)
            if before != data:
                if before is not None:
                    target.delete(MANIFEST)
                for path in sorted(source.rglob("*")):
                    if path.is_file() and path != manifest:
                        self._beat()
                        target.upload(path, path.relative_to(source).as_posix())
                target.write(MANIFEST, data)
        except FileNotFoundError:
            return  # another model took its rank meanwhile
        self._sent[f"{EXPORTS}/{source.name}/{MANIFEST}"] = stamp


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
