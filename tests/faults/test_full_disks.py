"""A disk that fills up under a real run: the short form of full_disks.py."""

import random
import subprocess
import sys
from pathlib import Path

import full_disks
import pytest
from small_runs import Rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SKIPPED = 77


def test_full_disk_pauses_a_study_in_words_and_nothing_is_lost(
    calm_rows: tuple[Rows, dict[str, str]], tmp_path: Path
) -> None:
    full_disks.keep_reference(tmp_path / "rows.json", calm_rows)
    seed = random.randrange(10_000)
    options = ["--times", "1", "--seed", str(seed), "--reference", str(tmp_path / "rows.json")]
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("full_disks.py")), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == SKIPPED:
        pytest.skip(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 full disks, 0 wrong" in result.stdout
