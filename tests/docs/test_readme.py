"""README, CONTRIBUTING and CHANGELOG: short, and what they name exists and works as written."""

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

import convfleet
from orchestrator.cli.app import app

ROOT = Path(__file__).parents[2]
TEXTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
SET_UP = (
    "python -m pip install . && convfleet run quickstart",
    "python -m pip install '.[dev]' && python -m pytest",
)
MAX_LINES, MAX_LINE_LENGTH, MAX_PICTURE_BYTES = 200, 140, 150_000
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: Inline code that is a path of the repository.
PATH = re.compile(
    r"`((?:search_spaces|trainables|orchestrator|tests|benchmarks|docs|findings)/[\w./-]*|\.ci/run|\.git-[\w-]+)`"
)
#: Paths that stand for one of many, or for what a reader makes.
PLACEHOLDERS = {"findings/NAME.sh"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Returns the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(name), flags=re.MULTILINE | re.DOTALL)


def missing(content: str) -> list[str]:
    """Returns the links and paths of a text that lead nowhere."""
    links = [link.partition("#")[0] for link in LINK.findall(content) if not re.match(r"https?://|mailto:|#", link)]
    named = {*links, *PATH.findall(content)} - PLACEHOLDERS
    return sorted(name for name in named if not (ROOT / name).exists())


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_and_path_leads_to_a_file(name):
    assert missing(text(name)) == []


def test_a_link_or_a_path_to_nothing_is_found():
    content = "[a](docs/none.md), [b](README.md#start), `tests/none.py`, `docs/index.md`, [c](https://example.org/x)"
    assert missing(content) == ["docs/none.md", "tests/none.py"]


@pytest.mark.parametrize("name", TEXTS)
def test_links_to_a_heading_find_it(name):
    for link in LINK.findall(text(name)):
        file, _, anchor = link.partition("#")
        if anchor and not link.startswith("http"):
            headings = re.findall(r"^#+ (.+)$", text(file or name), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_lines_fit_a_screen(name):
    assert [line for line in text(name).splitlines() if len(line) > MAX_LINE_LENGTH] == []


def test_readme_is_short():
    assert len(text("README.md").splitlines()) <= MAX_LINES


def test_readme_begins_as_ever():
    opening = " ".join(text("README.md").split())
    assert opening.startswith(
        "# convfleet **convfleet trains a fleet of CNN variants and keeps the best.** One study file"
    )
    assert "> Optuna proposes, Ray Tune schedules, TensorFlow trains, Arrow remembers." in opening


def test_the_two_set_up_commands_are_those_that_ci_runs():
    first = blocks("README.md", "shell")[0].splitlines()
    steps = re.findall(r'^step "README: (.+)"$', text(".ci/run"), flags=re.MULTILINE)
    assert tuple(first) == tuple(steps) == SET_UP


def test_the_study_file_is_valid(tmp_path, monkeypatch):
    (study,) = blocks("README.md", "yaml")
    (tmp_path / "flowers.yaml").write_text(study, encoding="utf-8")
    (tmp_path / "flowers").mkdir()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["validate", "flowers.yaml"])
    assert (result.exit_code, result.exception) == (0, None)
    assert "24 trials" in result.stdout


def test_python_compiles_and_uses_public_names_alone():
    (code,) = blocks("README.md", "python")
    tree = ast.parse(code)
    compile(tree, "README.md", "exec")
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "convfleet"
    }
    assert used
    assert used <= set(convfleet.__all__)
    results = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "result"
    }
    assert [name for name in results if not hasattr(convfleet.StudyResult, name)] == []


def test_commands_exist():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    names |= {group.name for group in app.registered_groups}
    table = text("README.md").partition("## Commands")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    shown = {
        part.strip("`").removeprefix("convfleet ").split()[0] for cell in cells for part in cell.strip().split(", ")
    }
    assert shown == names


def test_families_and_spaces_are_those_that_are_built_in():
    from search_spaces import builtin_names
    from trainables.catalog.families import FAMILIES

    table = text("README.md").partition("## Families")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| [`")]
    assert [re.findall(r"`(\w+)`", row)[0] for row in rows] == list(FAMILIES)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[3])} == set(builtin_names())


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_small_and_needs_nothing_else(picture):
    content = picture.read_text(encoding="utf-8")
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(content).iter()}
    assert not tags & {"script", "foreignObject", "image"}
    assert "url(http" not in content
    assert "@import" not in content
    assert len(content.encode()) <= MAX_PICTURE_BYTES


def test_every_picture_is_shown():
    content = text("README.md")
    assert PICTURES
    assert [path.name for path in PICTURES if f"docs/pictures/{path.name}" not in content] == []


def test_the_tree_of_rooms_has_their_order():
    house = ast.parse(text("tests/helpers/house.py"))
    (order,) = [
        ast.literal_eval(node.value)
        for node in house.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ORDER"
    ]
    (tree,) = blocks("CONTRIBUTING.md", "text")
    shown: dict[str, list[str]] = {}
    for line in tree.splitlines():
        name = line.split("/")[0]
        if line.startswith(" "):
            shown[list(shown)[-1]].append(name.strip())
        else:
            shown[name] = []
    assert list(shown) == ["search_spaces", "trainables", "orchestrator"]
    for package in ("trainables", "orchestrator"):
        rooms = [room for entry in order[package] for room in ([entry] if isinstance(entry, str) else entry)]
        folders = dict.fromkeys(room.split("/")[0] for room in rooms if (ROOT / package / room).is_dir())
        assert shown[package] == [name for name in folders if name != "studies"]


def test_the_example_of_a_docstring_is_the_codes_own():
    (example,) = blocks("CONTRIBUTING.md", "python")
    assert example in text("trainables/data/splits/stratified.py")


def test_new_paths_of_modules_exist():
    table = [line.split("|") for line in text("CHANGELOG.md").splitlines() if line.startswith("  | `")]
    names = [name for row in table for name in re.findall(r"`([a-z_.]+)`", row[2])]
    assert len(names) > 8
    wrong = [
        name
        for name in names
        if not any(
            (ROOT / path.replace(".", "/")).with_suffix(".py").is_file() for path in (name, name.rpartition(".")[0])
        )
    ]
    assert wrong == []
