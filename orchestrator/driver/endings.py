"""How a session begins, and the ways in which it ends early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.driver.session import Session
from orchestrator.errors import (
    ClusterLostError,
    DiskSpaceError,
    InputError,
    OrchestratorError,
    StudyFailedError,
    StudyPausedError,
)
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import read_state
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import StudyPaused
from orchestrator.mirror.mirror import mirrored
from orchestrator.results.writer import TableWriter
from orchestrator.runs.foreign_files import refuse_foreign_files
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.helm import Helm, PausedFromOutside
from orchestrator.study.spec import StudySpec
from orchestrator.trackers.beside import trackers_beside
from orchestrator.views.terminal.progress import Progress
from trainables.errors import DataError


@contextmanager
def open_session(
    folder: RunFolder, spec: StudySpec, *, address: str | None, progress: Progress | None
) -> Iterator[Session]:
    """Yields a session that holds the run folder; what ends it early is journalled as a pause.

    Args:
        folder: The run folder.
        spec: Its study.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.

    Raises:
        StudyPausedError: On Ctrl-C or SIGTERM.
        InputError: If the data or the study are wrong.
        StudyFailedError: If the study cannot go on.
    """
    notify = progress.message if progress is not None else lambda text: None
    refuse_foreign_files(folder)
    with (
        OneInterrupt() as interrupt,
        driver_lock(folder, notify=notify) as lock,
        mirrored(folder, spec, notify=notify) as mirror,
        trackers_beside(folder, notify=notify) as track,
        Journal(folder.journal, check=lock.check) as journal,
    ):
        recorder = Recorder(journal, state=read_state(folder), folder=folder, retries=spec.resources.retries)
        session = Session(
            folder=folder,
            spec=spec,
            recorder=recorder,
            interrupt=interrupt,
            address=address,
            progress=progress,
            steer=Helm(folder, recorder=recorder, since=recorder.now(), notify=notify).poll,
            track=track,
            mirror=mirror,
        )
        try:
            yield session
            # What was asked for during exports; the study is finished by now, or is not trained in this session.
            session.steer(session.spec)
        except tuple(_ENDINGS) as exc:
            ending = next(ending for kind, ending in _ENDINGS.items() if isinstance(exc, kind))
            pause(session, ending.reason(exc))
            error = ending.error(exc, session)
            if error is exc:
                raise
            raise error from (None if isinstance(exc, KeyboardInterrupt) else exc)


def pause(session: Session, reason: str) -> None:
    """Journals, if the disk allows it, that a session ends before its study is finished.

    Args:
        session: The session.
        reason: What ended it.
    """
    recorder = session.recorder
    recorder.pause_requested.set()
    if recorder.state.is_active:
        try:
            recorder.append(StudyPaused(reason=reason, at=recorder.now()))
            TableWriter(session.folder, recorder=recorder).write()
        except (OSError, StudyPausedError):
            # A full disk, or another driver that took over: a session without an end counts as paused just as well.
            return


def _next_step(text: str, session: Session) -> str:
    """Returns a text with what the user does after an early end."""
    if not session.recorder.state.trials:
        return f"{text}; no trial had begun: run the study again"
    command = f"convfleet resume {session.folder.quoted}"
    return text if command in text else f"{text}; go on with: {command}"


def _interrupted(_: KeyboardInterrupt, session: Session) -> OrchestratorError:
    error = StudyPausedError(_next_step("nothing is lost", session))
    error.run = session.folder.root if session.recorder.state.trials else None
    return error


def _lost_cluster(error: ClusterLostError, session: Session) -> OrchestratorError:
    text = _next_step(f"{error}; nothing is lost", session)
    address = f" --address {error.address}" if text.endswith(session.folder.quoted) else ""
    lost = ClusterLostError(f"{text}{address}", address=error.address)
    lost.run = session.folder.root if session.recorder.state.trials else None
    return lost


def _wrong_data(error: DataError, session: Session) -> OrchestratorError:
    full = session.space.space_note(error)
    return InputError(_next_step(f"{error}{full}", session) if full else str(error))


def _refused(error: OSError, session: Session) -> OrchestratorError:
    refusal = f"{session.folder.root}: the system refused something ({error}){session.space.space_note(error)}"
    return StudyFailedError(_next_step(refusal, session))


def _full_disk(error: DiskSpaceError, session: Session) -> OrchestratorError:
    return DiskSpaceError(_next_step(str(error), session))


def _failed(error: StudyFailedError, session: Session) -> OrchestratorError:
    full = session.space.space_note(error)
    return DiskSpaceError(_next_step(f"{error}{full}", session)) if full else error


def _unchanged(error: OrchestratorError, session: Session) -> OrchestratorError:
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """One way in which a session ends early.

    Attributes:
        error: Returns what the session raises.
        reason: Returns what the journal says.
    """

    error: Callable[[Any, Session], OrchestratorError]
    reason: Callable[[Any], str] = str


#: By what ends a session; the first kind that fits counts.
_ENDINGS: dict[type[BaseException], _Ending] = {
    PausedFromOutside: _Ending(error=_interrupted),
    ClusterLostError: _Ending(error=_lost_cluster),
    KeyboardInterrupt: _Ending(error=_interrupted, reason=lambda _: "interrupted by the user or the system"),
    DataError: _Ending(error=_wrong_data),
    OSError: _Ending(error=_refused, reason=lambda error: f"{type(error).__name__}: {error}"),
    DiskSpaceError: _Ending(error=_full_disk),
    StudyFailedError: _Ending(error=_failed),
    OrchestratorError: _Ending(error=_unchanged),
}
