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
    """Brings files of a run folder to where the run is kept elsewhere.

    Every method raises RemoteError if the storage does not take them; what it took is not uploaded again.

    Args:
        folder: The run here.
        remote: The run there.
        beat: Called before every file, so that long uploads are seen to go on; what it raises ends them.
    """

    def __init__(self, folder: RunFolder, *, remote: RemoteFolder, beat: Callable[[], None]) -> None:
        self._folder = folder
        self._remote = remote
        self._beat = beat
        #: Time and size of files as they were uploaded.
        self._sent: dict[str, tuple[int, int]] = {}

    def upload_study(self) -> None:
        """Uploads the study file if it changed: nothing that follows from it may be there before it."""
        self._upload_changed(self._folder.study)

    def upload_small(self) -> None:
        """Uploads files that changed since the last time."""
        for path in self._small():
            self._upload_changed(path)

    def upload_exports(self) -> None:
        """Uploads exports that are not there, their manifests last, and removes those that others took the rank of."""
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
        """Uploads checkpoints on this machine that their workers could not; removes nothing."""
        trials = [path for path in sorted(self._folder.checkpoints.glob("[!.]*")) if path.is_dir()]
        if not trials:
            return
        there = self._remote.child(CHECKPOINTS)
        names: dict[str, list[str]] = {}
        for file in there.files():
            trial, _, name = file.partition("/")
            names.setdefault(trial, []).append(name)
        for path in trials:
            self._beat()
            upload_trial(there.child(path.name), path, known=whole_epochs(names.get(path.name, ())))

    def _small(self) -> Iterator[Path]:
        folder = self._folder
        yield from (folder.environment, folder.augmented, folder.trials, folder.epochs, folder.report)
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
        there = self._remote.child(EXPORTS).child(source.name)
        try:
            stamp, data = _stamp(manifest), manifest.read_bytes()
            before = there.read(MANIFEST)
            if before != data:
                if before is not None:
                    there.delete(MANIFEST)
                for path in sorted(source.rglob("*")):
                    if path.is_file() and path != manifest:
                        self._beat()
                        there.upload(path, path.relative_to(source).as_posix())
                there.write(MANIFEST, data)
        except FileNotFoundError:
            return  # another model took its rank meanwhile
        self._sent[f"{EXPORTS}/{source.name}/{MANIFEST}"] = stamp


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
