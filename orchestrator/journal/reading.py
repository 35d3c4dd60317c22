"""Reads a run's state from its journal."""

from orchestrator.errors import JournalError, RunFolderError
from orchestrator.journal.file import read_journal
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.runs.paths import RunFolder


def load_state(folder: RunFolder) -> StudyState:
    """Returns the state of a run, also while it runs.

    Raises:
        JournalError: If the journal is damaged.
        RunFolderError: If the journal has no record yet.
    """
    state = read_state(folder)
    if state.opened is None:
        raise RunFolderError(
            f"{folder.root}: its journal has no record yet, so there is nothing to show; a driver at work on it still "
            f"reads the images; where none is, `convfleet resume {folder.quoted}` begins the study"
        )
    return state


def read_state(folder: RunFolder) -> StudyState:
    """Returns the state of a run's journal; an empty journal gives an empty state.

    Raises:
        JournalError: If the journal is damaged; the message has its path.
    """
    try:
        return fold(read_journal(folder.journal))
    except JournalError as exc:
        is_placed = str(exc).startswith(str(folder.journal))
        raise JournalError(str(exc) if is_placed else f"{folder.journal}: {exc}") from exc
