"""How a session with Ray begins, and the ways in which it may end early."""

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.driver.session import Session
from orchestrator.errors import DiskSpaceError, InputError, OrchestratorError, StudyFailedError, StudyPausedError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import read_state
from orchestrator.journal.recorder import Recorder
from orchestrator.mirror.mirror import mirrored
from orchestrator.runs.foreign_files import refuse_foreign_files
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.progress import Progress
from trainables.errors import DataError


@contextmanager
def open_session(
    folder: RunFolder, spec: StudySpec, *, address: str | None, progress: Progress | None
) -> Iterator["Session"]:
    """Yields a session that holds the run folder; what ends it early is journalled as a pause.

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
            mirror=mirror,
        )
        try:
            yield session
        except KeyboardInterrupt:
            session.pause("interrupted by the user or the system")
            raise StudyPausedError(session.next_step("nothing is lost")) from None
        except DataError as exc:
            session.pause(str(exc))
            full = session.space.space_note(exc)
            raise InputError(session.next_step(f"{exc}{full}") if full else str(exc)) from exc
        except OSError as exc:
            session.pause(f"{type(exc).__name__}: {exc}")
            refusal = f"{folder.root}: the system refused something ({exc}){session.space.space_note(exc)}"
            raise StudyFailedError(session.next_step(refusal)) from exc
        except StudyFailedError as exc:
            session.pause(str(exc))
            full = "" if isinstance(exc, DiskSpaceError) else session.space.space_note(exc)
            if not full and not isinstance(exc, DiskSpaceError):
                raise
            raise DiskSpaceError(session.next_step(f"{exc}{full}")) from exc
        except OrchestratorError as exc:
            session.pause(str(exc))
            raise
