"""A damaged journal of a real run: the short form of corruptions.py."""

from collections.abc import Callable
from pathlib import Path

import corruptions
import pytest
from small_runs import Commands, Rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_damaged_journal_is_refused_repaired_and_gone_on_with_to_the_same_rows(
    joined_commands: Callable[[Path], Commands], calm_rows: tuple[Rows, dict[str, str]], tmp_path: Path
) -> None:
    paused = joined_commands(tmp_path / "paused")
    corruptions.prepare(paused, has_export=False)
    # Seeds that eight divides damage the journal; this one makes another digit of one.
    outcome = corruptions.play(paused, seed=24, reference=calm_rows)
    assert (outcome.file, outcome.damage) == ("runs/small/journal.jsonl", "a digit changed")
    assert outcome.complaints == []
