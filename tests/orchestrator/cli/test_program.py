"""The command's process: its exit codes, its output, and what libraries do as it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys
from pathlib import Path
from convfleet.__main__ import main

file, register = Path(sys.argv.pop(1)), atexit.register

def with_another(function):
    # As of a library that is imported after the command has begun.
    register(function)
    register(lambda: file.write_text("in order"))

atexit.register = with_another
main()
"""


def ended(*words: str, code: int = 0, **named) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "convfleet", *words], capture_output=True, text=True, timeout=120, check=False, **named
    )
    assert result.returncode == code, result.stderr
    return result


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["spaces"], 0), (["spaces", "none-of-this-name"], 2), (["run"], 2), (["status", "none"], 2)],
)
def test_exit_codes_are_those_of_the_command(words, code):
    ended(*words, code=code)


def test_output_is_whole_where_it_is_piped():
    in_full = [sys.executable, "-c", "from orchestrator.cli.app import main; main()", "families"]
    whole = subprocess.run(in_full, capture_output=True, text=True, timeout=120, check=True).stdout
    assert len(whole) > 1000
    assert ended("families").stdout == whole


def test_what_libraries_do_at_the_end_is_done(tmp_path: Path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "done"), "spaces"]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    assert (tmp_path / "done").read_text() == "in order"


def test_an_output_that_cannot_be_written_is_no_success():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "convfleet", "spaces"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert result.returncode != 0
    assert "No space left" in result.stderr
