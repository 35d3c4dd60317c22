"""A damaged journal of a real run: the short form of corruptions.py."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_damaged_journal_is_refused_repaired_and_gone_on_with_to_the_same_rows() -> None:
    # Seeds that eight divides damage the journal; this one makes another digit of one.
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("corruptions.py")), "--times", "1", "--seed", "24"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "a digit changed in runs/small/journal.jsonl" in result.stdout
    assert "1 corruptions, 0 wrong" in result.stdout
