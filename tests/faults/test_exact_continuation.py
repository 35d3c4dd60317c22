"""The short form of exact_continuation.py: one kill a family, at a moment that a printed seed decides."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("exact_continuation.py")


@pytest.mark.slow
@pytest.mark.timeout(900)  # some twenty trials, each traced anew
def test_killed_trials_of_every_family_go_on_bit_for_bit():
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "1", "--epochs", "3"],
        env={**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows = [line.split() for line in result.stdout.partition("identical\n")[2].splitlines()]
    assert [(row[1], row[-1]) for row in rows] == [("1", "yes")] * 7, result.stdout
