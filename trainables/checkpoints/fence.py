"""The fence around a run's checkpoints: workers of an earlier session must not go on writing into a later one's.

A killed driver may leave workers behind for a while, above all on a cluster. Every session writes its number
beside the checkpoints before its first worker starts; a worker that reads a later number than its own ends itself.
Of the workers of one trial, within a session too, `owner` lets the last one alone change its checkpoints.
"""

import logging
from pathlib import Path

from trainables.files.whole import replace_file

logger = logging.getLogger(__name__)

_MARKER = ".session"
_LONGEST_NUMBER = 10


def claim(checkpoints: Path, *, session: int) -> int:
    """Makes the checkpoints those of a session: workers of earlier ones end themselves.

    Args:
        session: The session's number in the journal, from 1.

    Returns:
        The session's number for its workers: a larger one where the marker has that of a session that the journal does
        not know any more, such as after a repair. No two sessions have the same.
    """
    checkpoints.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = max(session, _claimed(checkpoints) + 1)
    replace_file(checkpoints / _MARKER, str(number), is_durable=False)
    return number


def is_superseded(checkpoints: Path, *, session: int) -> bool:
    """Returns whether a later session than this one has claimed the checkpoints; False if the marker is damaged."""
    return _claimed(checkpoints) > session > 0


def claim_on_node(checkpoints: Path, *, session: int) -> None:
    """Makes checkpoints that a node keeps to itself those of its worker's session, unless a later one has claimed them.

    Args:
        checkpoints: Only this node sees them, so the driver cannot claim them.
        session: The worker's; 0 for none.
    """
    if session > 0 and not is_superseded(checkpoints, session=session):
        checkpoints.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(checkpoints / _MARKER, str(session), is_durable=False)


def leave_if_superseded(checkpoints: Path, *, session: int) -> None:
    """Ends this worker if a later session is at work, whose workers have its trial.

    Args:
        session: This worker's; 0 for none, as in an export.

    Raises:
        SystemExit: A later session is; it ends the worker's process and is no failure of the trial.
    """
    if is_superseded(checkpoints, session=session):
        logger.warning("checkpoints=%s session=%d decision=leave", checkpoints, session)
        raise SystemExit(f"{checkpoints}: a later session than {session} is at work")


def _claimed(checkpoints: Path) -> int:
    """Returns the number in the marker; 0 without one, or if it is damaged."""
    try:
        text = (checkpoints / _MARKER).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() and len(text) < _LONGEST_NUMBER else 0
