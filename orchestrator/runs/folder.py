"""Making and finding run folders."""

import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole

#: Where a job of Ray's finds itself: Ray unpacks its files there.
_TEMPORARY = "/runtime_resources/working_dir_files/"


def new_run_folder(
    runs: Path, *, name: str, study_yaml: str, is_taken: Callable[[str], bool] = lambda name: False
) -> RunFolder:
    """Makes a folder for a new run, `runs/<name>`, or `runs/<name>-2` and so on where that is taken.

    Args:
        runs: The folder of run folders.
        name: The study's name.
        study_yaml: The expanded study.
        is_taken: Returns whether another place, such as a storage, has a run of a name.

    Raises:
        RunFolderError: If the folder cannot be made.
    """
    number = 1
    while True:
        root = runs / (name if number == 1 else f"{name}-{number}")
        number += 1
        if is_taken(root.name):
            continue
        with suppress(FileExistsError):
            return make_run_folder(root, study_yaml=study_yaml)


def make_run_folder(root: Path, *, study_yaml: str) -> RunFolder:
    """Makes a run folder with the expanded study in it; only its owner may look inside.

    Args:
        root: The run folder.
        study_yaml: The expanded study.

    Raises:
        RunFolderError: If the folder cannot be made, or would not stay.
        FileExistsError: If it exists.
    """
    folder = RunFolder(root)
    if _TEMPORARY in str(root.absolute()):
        raise RunFolderError(
            f"{root}: lies in a temporary folder of Ray's, which Ray clears when the job is over; give a folder that "
            "all nodes mount at the same path, such as --runs /mnt/shared/runs"
        )
    try:
        if root.parent.exists() and not root.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{root.parent} is not a folder")
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700)
        write_whole(folder.study, study_yaml)
    except FileExistsError:
        raise
    except OSError as exc:
        with suppress(OSError):
            root.rmdir()  # an empty one: nothing was kept of the study
        raise RunFolderError(
            f"{root}: cannot be made ({exc.strerror}); choose another place with --runs, make room there, or mend its "
            "permissions"
        ) from exc
    return folder


def open_run_folder(root: Path) -> RunFolder:
    """Returns an existing run folder.

    Args:
        root: The run folder.

    Raises:
        RunFolderError: If no run folder lies at `root`.
    """
    folder = RunFolder(root)
    try:
        what = "" if root.is_dir() else "is a file, not a run folder" if root.exists() else "no such run folder"
    except OSError as exc:
        what = f"cannot be looked for ({exc.strerror})"
    if what:
        close = sorted(path.name for path in root.parent.glob("*") if (path / "study.yaml").is_file())
        runs = f"; runs there: {', '.join(close)}" if close else ""
        raise RunFolderError(f"{root}: {what}; give a folder such as runs/quickstart{runs}")
    if not folder.study.is_file() or not folder.journal.is_file():
        missing = folder.journal.name if folder.study.is_file() else folder.study.name
        raise RunFolderError(f"{root}: is not a run folder, it has no {missing}; give one that `convfleet run` made")
    return folder


def remove_export_drafts(folder: RunFolder) -> None:
    """Removes the drafts of exports that died; while a driver holds the run folder, no other one writes in it.

    Args:
        folder: The run folder.
    """
    for draft in folder.exports.glob(".*"):
        shutil.rmtree(draft, ignore_errors=True)
