"""The command's process: its exit codes, its output, and what libraries do as it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.forking.session import SWITCH, THREADS

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

#: Notes when the process that imports ahead is started, and when the command itself is imported.
NOTING = """
import sys
from convfleet.__main__ import main

file = open(sys.argv.pop(1), "a", buffering=1)

def note(event, arguments):
    if event == "subprocess.Popen" and any(str(word).endswith("forking/server.py") for word in arguments[1]):
        print("server", file=file)
    elif event == "import" and arguments[0] == "orchestrator.cli.app":
        print("command", file=file)

sys.addaudithook(note)
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray's workers are forked on Linux alone")
def test_workers_import_before_the_command_itself_and_once(tmp_path: Path):
    few = ["search.trials=1", "schedule.max_epochs=2", "export.top=0"]
    words = ["run", "quickstart", "--runs", str(tmp_path / "runs"), *(word for text in few for word in ("--set", text))]
    environment = {name: value for name, value in os.environ.items() if name not in (SWITCH, THREADS)}
    command = [sys.executable, "-c", NOTING, str(tmp_path / "noted"), *words]
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "noted").read_text().splitlines() == ["server", "command"]
