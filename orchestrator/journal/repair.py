"""Makes a damaged journal usable again: keeps the records before the damage, and a copy of the whole file."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.checksums import checksum_of, is_right, whole_lines
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import JOURNAL_SCHEMA, record_from_json
from orchestrator.journal.study_state import StudyState
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from trainables.files.whole import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The result of the repair of a journal.

    Args:
        folder: The run folder.
        damage: What is wrong and where; empty for a whole journal.
        num_kept: Records before the damage, all kept.
        num_cut: Lines from the damage on, all removed.
        reports_cut: By trial: readable reports among the removed lines.
        copy: The file with the journal before the repair; None for a whole journal.
    """

    folder: RunFolder
    damage: str = ""
    num_kept: int = 0
    num_cut: int = 0
    reports_cut: Counter[str]
    copy: Path | None = None

    def lines(self) -> list[str]:
        """Returns lines for the user: what the repair did, and the next command."""
        if self.copy is None:
            return [f"{self.folder.journal}: whole, {self.num_kept} records; nothing was changed"]
        names = ", ".join(f"{count} of {name}" for name, count in self.reports_cut.most_common(_SHOWN))
        more = ", ..." if len(self.reports_cut) > _SHOWN else ""
        lost = f", among them the reports {names}{more}" if names else ""
        return [
            f"damage   {self.damage}",
            f"kept     {self.num_kept} records before it",
            f"cut      {self.num_cut} lines from there on{lost}; the journal as it was: {self.copy}",
            f"next     convfleet resume {self.folder.quoted}: reports that checkpoints hold are told again, the others "
            "trained again; early stopping judges anew",
        ]


def repair_run(root: Path) -> Repair:
    """Copies a run's journal, cuts it at the first damaged line, and returns what was removed.

    Raises:
        RunFolderError: If `root` is no run folder, or a driver is at work on it.
        JournalError: If another version wrote the journal, which is no damage.
    """
    folder = open_run_folder(root)
    with driver_lock(folder):
        num_kept, damage = _whole_records(folder.journal)
        if not damage:
            return Repair(folder=folder, num_kept=num_kept, reports_cut=Counter())
        _demand_own_version(folder.journal, num_kept=num_kept, damage=damage)
        copy = _set_aside(folder)
        rest = list(islice(_lines(folder.journal), num_kept, None))
        kept = b"".join(line + b"\n" for line in islice(_lines(folder.journal), num_kept))
        write_whole(folder.journal, kept)
    reports = Counter(name for line in rest if (name := _reporting_trial(line)))
    return Repair(
        folder=folder, damage=damage, num_kept=num_kept, num_cut=max(1, len(rest)), reports_cut=reports, copy=copy
    )


def _whole_records(journal: Path) -> tuple[int, str]:
    """Returns how many records can be true, and the damage after them; an empty text if the journal is whole."""
    state, records = StudyState(), read_journal(journal)
    try:
        for record in records:
            state.apply(record)
    except (JournalError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as exc:
        text = str(exc).partition("; ")[0]
        return state.num_records, text if text.startswith(str(journal)) else f"record {state.num_records + 1}: {text}"
    return state.num_records, ""


def _lines(journal: Path) -> Iterator[bytes]:
    """Yields the lines before the first that cannot be read."""
    try:
        yield from whole_lines(journal)
    except JournalError:
        return


def _demand_own_version(journal: Path, *, num_kept: int, damage: str) -> None:
    """Raises JournalError if the unreadable line is whole and another version wrote it."""
    lines = list(islice(_lines(journal), max(0, num_kept - 1), num_kept + 1))
    if not lines or len(lines) <= min(1, num_kept):
        return
    before = (checksum_of(lines[0]) or 0) if num_kept else 0
    try:
        content = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return
    if not isinstance(content, dict):
        return
    is_other_schema = not num_kept and content.get("type") == "study_opened" and content.get("schema") != JOURNAL_SCHEMA
    if is_other_schema or (is_right(lines[-1], before=before) and not _is_known(content)):
        raise JournalError(
            f"{damage}; this is no damage: another version of convfleet wrote it (see environment.json); use that one"
        )


def _is_known(content: object) -> bool:
    try:
        record_from_json(content)
    except JournalError:
        return False
    return True


def _set_aside(folder: RunFolder) -> Path:
    """Keeps the journal under a second name and returns that path."""
    if folder.journal.is_symlink():
        raise JournalError(f"{folder.journal}: is a link; put the journal itself in its place")
    number = 1
    while (copy := folder.root / f"journal-damaged-{number}.jsonl").exists() or copy.is_symlink():
        number += 1
    try:
        # A hard link takes no space, and the repair replaces the journal's file instead of changing its bytes.
        os.link(folder.journal, copy)
    except OSError:
        shutil.copyfile(folder.journal, copy)
    copy.chmod(0o600)
    return copy


def _reporting_trial(line: bytes) -> str:
    """Returns the trial whose report a line holds, if it can still be read; else an empty text."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    is_report = isinstance(content, dict) and content.get("type") == "epoch_reported"
    return str(content.get("trial", "?"))[:_LONGEST_NAME] if is_report else ""


_SHOWN = 5
_LONGEST_NAME = 20
