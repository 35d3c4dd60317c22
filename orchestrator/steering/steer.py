"""Asks something of a study, whether or not a driver is at work on it.

A driver gets a request, and its answer comes back. Without one the caller writes the record itself, as the journal's
only writer: a star, a note, and what becomes of a trial once the study is resumed. Whether the study is finished or
paused stays as it was.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import read_state
from orchestrator.runs.foreign_files import refuse_foreign_files
from orchestrator.runs.lock import driver_lock, is_driver_alive
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.decisions import IN_JOURNAL, Asked, decide
from orchestrator.steering.requests import (
    Answer,
    Request,
    ask,
    check_request,
    new_request_id,
    wait_for_answer,
    withdraw,
)

#: How long a caller waits for a driver, which looks several times a second while trials train.
WAIT_SECONDS = 10.0


def steer(folder: RunFolder, request: Request, *, seconds: float = WAIT_SECONDS) -> Answer:
    """Asks something of a study and returns what became of it.

    Args:
        folder: The run folder.
        request: What is asked for.
        seconds: How long to wait for the driver's answer at most.

    Returns:
        The answer of the driver. Where it has not looked in time, because it prepares or exports, the request waits
        for it. Where no driver is at work, whoever calls has written the record.

    Raises:
        InputError: If the request cannot be honoured without a driver, or at all; with what to do instead.
        OSError: If the folder cannot be written to.
    """
    check_request(request)
    if not is_driver_alive(folder):
        return steer_directly(folder, request)
    request_id = ask(folder, request)
    if answer := wait_for_answer(folder, request_id, seconds=seconds):
        return answer
    if not is_driver_alive(folder) and withdraw(folder, request_id):
        # Under the same id: the driver may have died between the record and its answer.
        return steer_directly(folder, request, request_id=request_id)
    return Answer(
        is_done=False,
        is_waiting=True,
        text=f"the driver has not answered within {seconds:g} s: it looks while trials train, and once more after its "
        f"exports; the request waits in {folder.requests}",
    )


def steer_directly(folder: RunFolder, request: Request, *, request_id: str = "") -> Answer:
    """Writes what a request becomes into the journal of a run that no driver is at work on.

    Args:
        folder: The run folder.
        request: What is asked for.
        request_id: Its id, where a driver had it before; empty: a new one.

    Raises:
        InputError: If it cannot be honoured, or a driver is at work after all; with what to do instead.
        JournalError: If the journal is damaged.
    """
    check_request(request)
    refuse_foreign_files(folder)
    with driver_lock(folder) as lock, _storage_of(folder), Journal(folder.journal, check=lock.check) as journal:
        state = read_state(folder)
        if state.opened is None:
            raise RunFolderError(f"{folder.root}: its journal has no record yet; resume the study first")
        if request_id in state.steering.requests:
            return Answer(is_done=True, text=IN_JOURNAL)
        asked = Asked(request=request, request_id=request_id or new_request_id(), at=time.time())
        decision = decide(asked, state, spec=None)
        if decision.record is not None:
            journal.append(decision.record)
    return Answer(is_done=True, text=decision.text)


@contextmanager
def _storage_of(folder: RunFolder) -> Iterator[None]:
    """Holds the run in its storage as well, where the study names one: the storage gets the record too."""
    from orchestrator.study.yaml_file import parse_yaml, read_study_file

    content = parse_yaml(read_study_file(folder.study), where=str(folder.study))
    storage = content.get("storage") if isinstance(content, dict) else None
    uri = storage.get("uri") if isinstance(storage, dict) else None
    if not isinstance(uri, str):
        yield
        return
    # Late: it brings Arrow, which a run in its folder alone does not need.
    from orchestrator.mirror.mirror import open_mirror

    mirror = open_mirror(folder, uri, notify=lambda text: None)
    try:
        yield
    finally:
        problem = mirror.close()
    if problem:
        raise RunFolderError(problem)
