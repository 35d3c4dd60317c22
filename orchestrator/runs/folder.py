"""Making and finding run folders."""

from collections.abc import Callable
from contextlib import suppress
from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from pathlib import Path
from trainables.files.whole import write_whole
import errno
import shutil



def new_run_folder(runs: Path, spec: StudySpec, *, is_taken: Callable[[str], bool] = lambda name: False) -> RunFolder:
    """Makes a folder for a new run, `runs/<study>`, or `runs/<study>-2` and so on where that is taken.

    Args:
        is_taken: Whether a name is taken elsewhere.

    Raises:
        RunFolderError: If it cannot be made.
    """
    number = 1
    while True:
        root = runs / (spec.name if number == 1 else f"{spec.name}-{number}")
        number += 1
        if is_taken(root.name):
            continue
        with suppress(FileExistsError):
            return make_run_folder(root, spec)


def make_run_folder(root: Path, spec: StudySpec) -> RunFolder:
    """Makes a run folder with the expanded study in it; only its owner may look inside.

    Raises:
        RunFolderError: If it cannot be made.
        FileExistsError: If there is one.
    """
    folder = RunFolder(root)
    try:
        if root.parent.exists() and not root.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{root.parent} is not a folder")
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700)
        write_whole(folder.study, spec.to_yaml())
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

    Raises:
        RunFolderError: If there is none.
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
    """Removes what exports left that died half-way; nobody else writes here while this driver holds the folder."""
    for draft in folder.exports.glob(".*"):
        shutil.rmtree(draft, ignore_errors=True)
