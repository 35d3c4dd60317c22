"""The short form of registry_kills.py: writers of a registry die at random moments; nothing is lost or half there."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = {False: 12, True: 200}


@pytest.mark.slow
def test_killed_writers_leave_whole_versions_one_production_and_all_that_was_done(is_long: bool) -> None:
    # In a process of its own, which has no threads when it forks.
    script, seed = Path(__file__).with_name("registry_kills.py"), random.randrange(10**6)
    command = [sys.executable, str(script), "--rounds", str(ROUNDS[is_long]), "--seed", str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=850, check=False)
    print(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{ROUNDS[is_long]} rounds, {8 * ROUNDS[is_long]} writers killed" in ended.stdout
