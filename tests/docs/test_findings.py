"""The findings are in order: sound scripts of pinned packages, each listed and naming code that exists; none is run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = "_setup.sh"
SCRIPTS = sorted(path for path in (ROOT / "findings").glob("*.sh") if path.name != SETUP)
_PATH = re.compile(r"\b(?:search_spaces|trainables|benchmarks|orchestrator)/[\w/]+\.py\b")
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def header(script: Path) -> str:
    """Returns the comment that a script begins with."""
    lines = script.read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(lines[:end])


def packages(script: Path) -> list[str]:
    """Returns what a script installs, as `pip` is asked for it."""
    (line,) = re.findall(r"^fresh_venv (.+)$", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [word.strip("'") for word in line.split()]


def test_there_are_findings() -> None:
    assert len(SCRIPTS) >= 8


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / "findings" / SETUP], ids=lambda path: path.stem)
def test_a_finding_is_sound_bash(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@each_script
def test_a_finding_can_be_executed_and_ends_at_the_first_error(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")


@each_script
def test_a_finding_pins_every_package(script: Path) -> None:
    found = packages(script)
    assert found
    assert all(re.fullmatch(r"[\w-]+(\[\w+\])?==[\d.]+", package) for package in found), found


@each_script
def test_a_finding_says_when_the_behaviour_has_changed(script: Path) -> None:
    assert '"changed' in script.read_text(encoding="utf-8")


@each_script
def test_a_finding_needs_no_code_of_ours(script: Path) -> None:
    body = script.read_text(encoding="utf-8").removeprefix(header(script))
    assert not re.search(r"\b(?:search_spaces|trainables|orchestrator|convfleet)\b", body)


@each_script
def test_a_finding_tells_the_guess_who_is_hurt_and_the_code_that_follows(script: Path) -> None:
    told = header(script)
    assert [part for part in ("One would guess:", "What happens:", "Who is hurt:", "Ours:") if part not in told] == []
    named = _PATH.findall(told)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@each_script
def test_the_table_has_a_finding_with_its_versions_and_its_code(script: Path) -> None:
    readme = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| [{script.name}]({script.name}) |")]
    assert sorted(set(_PATH.findall(row))) == sorted(set(_PATH.findall(header(script))))
    pins = {re.sub(r"\[\w+\]", "", package).replace("==", " ") for package in packages(script)}
    versions = set(row.split("|")[3].strip().split(", "))
    assert versions <= pins
    assert [pin for pin in pins if pin not in readme] == []


def test_the_table_has_no_finding_that_is_not_here() -> None:
    readme = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w-]+\.sh)\]", readme, flags=re.MULTILINE)
    assert sorted(listed) == [script.name for script in SCRIPTS]


def test_a_citation_in_the_code_names_a_finding_that_is_here() -> None:
    sources = [path for room in ("search_spaces", "trainables", "orchestrator") for path in (ROOT / room).rglob("*.py")]
    cited = {
        name for path in sources for name in re.findall(r"findings/([\w-]+\.sh)", path.read_text(encoding="utf-8"))
    }
    assert sorted(cited - {script.name for script in SCRIPTS}) == []
