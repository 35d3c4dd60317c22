"""Who may change a trial's checkpoints: the worker that was started last for the trial, and none before it.

A worker that was cut off from its driver may outlive the one that took its trial over, and wake in the middle of
anything. Each start of a worker has a number (session, start) that its driver gives: it grows with each start, over
sessions too, and no two starts have the same. A worker begins with a folder of its own in the trial's folder,
`.owner-0003-0012`, which it makes, once, and then takes the folders of all earlier starts away. A checkpoint takes its
place by a rename out of the own folder, and is deleted by a rename into it. Such a rename needs the folder to be
there, and the file system does that test and the rename in one step: a worker whose folder is gone changes nothing,
however long it slept between a test and an act. No lock and no clock is involved.

Each start makes its folder before it lists the others, so of two at once at least one sees the other; the earlier one
leaves, or loses its folder. On NFS a rename may still get into a folder that is on its way out, until that is deleted:
the later start begins to read after that.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainables.files.folders import OWN, take_away

logger = logging.getLogger(__name__)

_NAME = re.compile(re.escape(OWN) + r"(\d{1,9})-(\d{1,9})")

#: (the session of a driver, the start of a worker in it), both from 1; later starts have larger ones.
Start = tuple[int, int]


class Owner:
    """The worker that trains a trial, as far as the trial's checkpoints are concerned.

    Args:
        trial_folder: The folder of the trial's checkpoints.
        start: The number of the worker's start.
    """

    def __init__(self, trial_folder: Path, *, start: Start) -> None:
        self.start = start
        self._trial_folder = trial_folder
        self._has_claimed = False

    @property
    def folder(self) -> Path:
        """The worker's own folder, through which all goes that it puts in place or deletes."""
        return self._trial_folder / owner_name(self.start)

    def claim(self) -> None:
        """Makes the trial this worker's, and that of no worker before it; does nothing the second time.

        Raises:
            SystemExit: A later start has the trial, or another worker has this start.
            OSError: The disk is full, or the like.
        """
        if self._has_claimed:
            return self.leave_if_superseded()
        self._trial_folder.mkdir(parents=True, exist_ok=True)
        try:
            self.folder.mkdir()
        except FileExistsError:
            raise self._left("another worker has its start") from None
        self._has_claimed = True
        others = dict(_starts(self._trial_folder))
        if any(start > self.start for start in others):
            with suppress(OSError):
                self.folder.rmdir()
            raise self._left("a later one has the trial")
        for start, folder in sorted(others.items()):
            if start < self.start:
                take_away(folder)
        return None

    def leave_if_superseded(self) -> None:
        """Ends this worker if a later one has the trial.

        Raises:
            SystemExit: One has; it ends the worker's process and is no failure of the trial.
        """
        if self._has_claimed and not self.folder.is_dir():
            raise self._left("a later one has the trial")

    def _left(self, why: str) -> SystemExit:
        logger.warning('checkpoints=%s start=%s decision=leave reason="%s"', self._trial_folder, self.start, why)
        return SystemExit(f"{self._trial_folder}: start {self.start} of a worker leaves: {why}")


@contextmanager
def leaving_by(leave_if_superseded: Callable[[], None]) -> Iterator[None]:
    """Lets an error of a worker that has lost its trial be no failure of the trial.

    Args:
        leave_if_superseded: Ends the worker if that is so.
    """
    try:
        yield
    except Exception:
        leave_if_superseded()
        raise


def owner_name(start: Start) -> str:
    """Returns the name of a worker's own folder.

    >>> owner_name((3, 12)), start_of(".owner-0003-0012"), start_of("epoch-0003")
    ('.owner-0003-0012', (3, 12), None)
    """
    session, number = start
    return f"{OWN}{session:04d}-{number:04d}"


def start_of(name: str) -> Start | None:
    """Returns the start whose worker has a folder of this name; None if it is the name of another thing."""
    found = _NAME.fullmatch(name)
    return None if found is None else (int(found[1]), int(found[2]))


def _starts(trial_folder: Path) -> Iterator[tuple[Start, Path]]:
    for path in trial_folder.iterdir():
        if (start := start_of(path.name)) is not None:
            yield start, path
