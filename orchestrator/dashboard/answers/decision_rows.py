"""Rows of the table of decisions: a record of the journal in a line, as words; read from the file when asked for."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.tail import JournalReplacedError, JournalTail
from orchestrator.errors import JournalError
from orchestrator.history.decisions import Decision, Teller
from orchestrator.journal.checksums import whole_lines
from orchestrator.journal.records import Record, record_from_json

#: So many of the last records are shown: a browser holds them, and the server's memory does.
MOST_DECISIONS = 20_000


class NewDecisions:
    """What comes to a run's journal from now on, in words.

    Args:
        run: Whose journal it is.
    """

    def __init__(self, run: FollowedRun) -> None:
        self._run, self._tail, self._teller = run, JournalTail(run.folder.journal), Teller()
        self._num_shown = run.num_records

    def since_last(self) -> list[Decision]:
        """Returns the decisions that are new since the last time; none where the journal cannot be read."""
        try:
            new = [item for item in _read(self._tail, self._teller) if item.line > self._num_shown]
        except JournalReplacedError:
            # Fetched again, or repaired: told from the first line, shown from where this page is.
            self._tail, self._teller = JournalTail(self._run.folder.journal), Teller()
            return self.since_last()
        self._num_shown = max(self._num_shown, self._teller.line)
        return new


def decision_rows(run: FollowedRun) -> list[dict[str, Any]]:
    """Returns a row a record, the last `MOST_DECISIONS` of the journal, in its order."""
    last: deque[Decision] = deque(_read(JournalTail(run.folder.journal), Teller()), maxlen=MOST_DECISIONS)
    return list(map(decision_row, last))


def _read(tail: JournalTail, teller: Teller) -> Iterator[Decision]:
    """Yields the next decisions of a journal, up to where it cannot be read: the page's headline says why.

    Raises:
        JournalReplacedError: If it is another journal than before.
    """
    try:
        for record in tail.new_records():
            yield from teller.add([record])
    except JournalReplacedError:
        raise
    except (JournalError, OSError):
        return


def decision_row(decision: Decision) -> dict[str, Any]:
    """Returns a decision as a row."""
    return asdict(decision)


def decision_at(run: FollowedRun, line: int) -> Decision | None:
    """Returns what a line of the journal says, also one that is no longer among the last; None where there is none."""
    if line < 1:
        return None
    found = islice(_read(JournalTail(run.folder.journal), Teller()), line)
    return next((item for item in found if item.line == line), None)


def decisions_of_trial(run: FollowedRun, trial: str) -> list[Decision]:
    """Returns what the journal says of a trial, oldest first; only its own lines are read as records."""
    name, teller, found = f'"{trial}"'.encode(), Teller(), []
    try:
        for number, line in enumerate(whole_lines(run.folder.journal), start=1):
            if number == 1 or name in line:
                teller.line = number - 1
                found += [item for item in teller.add([_record(line)]) if item.trial == trial]
    except (OSError, ValueError, JournalError):
        return found
    return found


def _record(line: bytes) -> Record:
    return record_from_json(json.loads(line))
