"""Watches the disks while a study runs, and ends the session before a disk is full or if the run folder is gone."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.disk.free_space import Disk, estimated_need, full_places, need_in_words, shortage, study_places
from orchestrator.errors import DiskSpaceError, StudyFailedError
from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.text import size_in_words
from trainables.data.cache.storage_choice import cache_folder

#: Between two checks.
PERIOD_SECONDS = 2.0


class SpaceWatch:
    """The watch of one session over the disks that it writes to.

    Args:
        spec: The study.
        folder: Its run folder.
        places: The disks, the run folder's first.
        notify: Receives messages for the user.
        clock: Seconds from any start.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        folder: RunFolder,
        places: Sequence[Disk],
        notify: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._places = places
        self._notify = notify
        self._clock = clock
        self._checked_at = clock()
        #: How many trials must have reported before the need is estimated again.
        self._next_estimate = 1
        self._has_warned = False
        self._journal = _identity(folder.journal)

    def check(self) -> None:
        """Makes sure that the disks have room and that the run folder is in its place.

        Raises:
            DiskSpaceError: If a disk has less free room than storage.min_free_gb asks for.
            StudyFailedError: If the journal is not the file that it was: what is written to it from then on is lost.
        """
        if _identity(self._folder.journal) != self._journal:
            raise StudyFailedError(
                f"{self._folder.root}: the run folder was removed or replaced while the study ran; put it back to go "
                "on from where it was then, or run the study anew"
            )
        if short := shortage(self._places, min_free_gb=self._spec.storage.min_free_gb):
            raise DiskSpaceError(short)

    def begin(self, state: StudyState, *, num_concurrent: int) -> None:
        """Notifies the user of the room that the study needs and the room that is free.

        Raises:
            DiskSpaceError: If the next checkpoints alone do not fit.
        """
        place = self._places[0]
        need = estimated_need(self._spec, state, folder=self._folder, num_concurrent=num_concurrent)
        self._notify(need_in_words(need, place=place))
        if need.sure_bytes > place.free_bytes:
            raise DiskSpaceError(
                f"{place.path} ({place.name}): the next checkpoints alone take {size_in_words(need.sure_bytes)}, but "
                f"{size_in_words(place.free_bytes)} are free; make room there"
            )

    def check_if_due(self, state: StudyState, *, num_concurrent: int) -> None:
        """Checks the disks every two seconds, and warns once if the study will need more room than is free.

        Raises:
            DiskSpaceError: If a disk has less free room than storage.min_free_gb asks for.
            StudyFailedError: If the run folder was removed or replaced.
        """
        now = self._clock()
        if now - self._checked_at < PERIOD_SECONDS:
            return
        self._checked_at = now
        self.check()
        num_reported = sum(bool(trial.reports) for trial in list(state.trials.values()))
        if self._has_warned or num_reported < self._next_estimate:
            return
        self._next_estimate = 2 * num_reported
        need = estimated_need(self._spec, state, folder=self._folder, num_concurrent=num_concurrent)
        free = self._places[0].free_bytes
        if need.total_bytes is not None and need.total_bytes > free - self._spec.storage.min_free_gb * 1e9:
            self._has_warned = True
            self._notify(
                f"warning: {need_in_words(need, place=self._places[0])}: the study will pause when less than "
                "storage.min_free_gb is left; make room, or set storage.checkpoint_budget_gb"
            )

    def space_note(self, error: BaseException) -> str:
        """Returns an addition to an error that a full disk may have caused; an empty text if no disk is full."""
        is_certain = os.strerror(errno.ENOSPC) in str(error) or os.strerror(errno.EDQUOT) in str(error)
        return full_places(self._places, is_certain=is_certain)


def study_watch(spec: StudySpec, *, folder: RunFolder, has_own_ray: bool, notify: Callable[[str], None]) -> SpaceWatch:
    """Returns the watch over all disks that a driver of a study writes to.

    Args:
        spec: The study.
        folder: Its run folder.
        has_own_ray: Whether the driver starts a Ray of this machine alone.
        notify: Receives messages for the user.
    """
    places = study_places(folder, cache=cache_folder(spec.data), has_own_ray=has_own_ray)
    return SpaceWatch(spec, folder=folder, places=places, notify=notify)


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns the identity of the file at a path; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
