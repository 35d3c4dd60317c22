"""The documentation builds without a warning, names everything that the code has, and its links lead somewhere."""

import doctest
import re
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from typer.exceptions import TyperException

from orchestrator.journal.records import Record
from orchestrator.study.spec import StudySpec
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING
from trainables.reports import FailureKind

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
#: What `convfleet` and folders of this repository look like in inline code.
COMMAND = re.compile(r"`(convfleet [^`]+)`")
REPOSITORY_PATH = re.compile(r"`((?:search_spaces|trainables|orchestrator|tests|benchmarks|docs|findings)/[\w./-]+)`")
#: A page of a how-to whose first line is a command, alone or as a file of commands.
FIRST_COMMAND = re.compile(r"\A# .+\n\n(`[^`]+`$|```\{literalinclude\} \.\./snippets/shell/)", re.MULTILINE)


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    """Lets the generators of docs/_ext be imported."""
    before = list(sys.path)
    sys.path.insert(0, str(DOCS / "_ext"))
    yield
    sys.path[:] = before


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Builds the documentation and returns its folder."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{out}/doctrees"]
    built = subprocess.run([*command, str(DOCS), f"{out}/html"], capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return out / "html"


class Page(HTMLParser):
    """One built page: its links, the anchors in it, its text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.words = [], {""}, []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors.update(value for name, value in attrs if name in ("id", "name") and value)
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def pages(site):
    """Every built page by its path."""
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_built_and_reachable_from_the_index(pages):
    seen, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        targets = (resolved(name, link) for link in pages[name].links)
        waiting += [target for target, _ in targets if target in pages]
    expected = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in PAGES}
    assert expected - seen == set()


def resolved(page, link):
    """Returns the path and the anchor that a link of a page leads to; an empty path for what is outside."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc:
        return "", ""
    path = urllib.parse.unquote(parts.path)
    base = Path(page).parent
    target = Path(urllib.parse.urljoin(f"/{base.as_posix()}/", path)).as_posix().lstrip("/") if path else page
    return target, urllib.parse.unquote(parts.fragment)


def test_links_within_the_site_lead_to_a_page_and_an_anchor_in_it(site, pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            target, anchor = resolved(name, link)
            is_right = not target or (
                anchor in pages[target].anchors if target in pages else (site / target).exists() and not anchor
            )
            if not is_right:
                broken.append(f"{name}: {link}")
    assert broken == []


def test_links_out_of_the_site_are_whole_https_urls(pages):
    out = {link for page in pages.values() for link in page.links if re.match(r"[a-z]+:|//", link)}
    assert out
    wrong = [link for link in out if not is_whole_url(link)]
    assert wrong == []


def is_whole_url(link):
    parts = urllib.parse.urlsplit(link)
    return parts.scheme == "https" and re.fullmatch(r"[\w.-]+\.[a-z]{2,}", parts.netloc) and " " not in link


@pytest.mark.parametrize(
    "bad", ["http://example.org", "https://localhost", "https:/example.org", "ftp://example.org/x"]
)
def test_a_link_that_is_no_whole_https_url_is_found(bad):
    assert not is_whole_url(bad)


def test_built_pages_name_every_key_command_family_parameter_record_and_error(pages, extensions):
    study_keys, command_line, record_kinds, python_api = map(
        import_module, ("study_keys", "command_line", "record_kinds", "python_api")
    )
    keys = [key for key, _, _ in study_keys.keys(StudySpec)]
    for path, model in study_keys.sections(StudySpec, path=""):
        keys += [key for key, _, _ in study_keys.keys(model, path=f"{path}.")] if model else []
    expected = {
        "reference/study-file.html": keys,
        "reference/command-line.html": [f"convfleet {name}" for name in command_line.commands()],
        "reference/training-parameters.html": list(TRAINING),
        "reference/families/index.html": list(FAMILIES),
        "reference/journal.html": [record_kinds.type_of(kind) for kind in get_args(Record)],
        "howto/failures.html": [kind.value for kind in FailureKind],
        "reference/python.html": [*python_api.public_names(), "Target", "Task", "InfeasibleError"],
        **{f"reference/families/{name}.html": list(family.parameters) for name, family in FAMILIES.items()},
    }
    missing = [f"{page}: {name}" for page, names in expected.items() for name in names if name not in pages[page].text]
    assert missing == []
    assert len(keys) > 60


def test_a_family_has_a_page_and_a_page_a_family():
    names = {path.stem for path in (DOCS / "reference" / "families").glob("*.md")} - {"index"}
    assert names == FAMILIES.keys()


def test_record_kinds_are_called_as_the_journal_calls_them(extensions):
    from orchestrator.errors import JournalError
    from orchestrator.journal.records import record_from_json

    type_of = import_module("record_kinds").type_of
    for kind in get_args(Record):
        with pytest.raises(JournalError, match=f"a record of type '{type_of(kind)}' lacks fields"):
            record_from_json({"type": type_of(kind)})


def test_a_key_without_a_description_fails_the_build(extensions):
    from pydantic import BaseModel

    class Silent(BaseModel):
        """Says nothing of its keys."""

        quiet: int = 1

    study_keys = import_module("study_keys")
    with pytest.raises(ValueError, match=r"Silent\.quiet: has no description; write one in the docstring"):
        study_keys.keys_table(Silent, path="")


def test_examples_of_the_generators_hold(extensions):
    failed = {
        path.stem: doctest.testmod(import_module(path.stem)).failed for path in sorted((DOCS / "_ext").glob("*.py"))
    }
    assert failed == dict.fromkeys(failed, 0)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_line_of_a_page_is_over_140_characters(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, start=1) if len(line) > 140] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_code_of_more_than_a_line_is_a_file(path):
    assert typed_blocks(path.read_text(encoding="utf-8")) == []


def typed_blocks(text):
    """Returns fenced blocks of more than one line that are no directives."""
    blocks = re.findall(r"^ *```([^\n`{]*)\n(.*?)^ *```$", without_directives(text), re.MULTILINE | re.DOTALL)
    return [body for _, body in blocks if len(body.splitlines()) > 1]


def without_directives(text):
    return re.sub(r"^ *```\{.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_a_typed_block_is_found():
    assert typed_blocks("```{flow}\na\nb\n```\n\n```python\na = 1\nb = 2\n```\n") == ["a = 1\nb = 2\n"]
    assert typed_blocks("```shell\nls\n```\n") == []


@pytest.mark.parametrize("path", sorted((DOCS / "howto").glob("*.md")), ids=lambda path: path.stem)
def test_a_howto_begins_with_its_command(path):
    assert FIRST_COMMAND.match(path.read_text(encoding="utf-8"))


def test_commands_in_sentences_are_commands_that_exist(extensions):
    command_line = import_module("command_line")
    commands = command_line.commands()
    wrong = []
    for path in PAGES:
        for command in COMMAND.findall(path.read_text(encoding="utf-8").replace("\n", " ")):
            name, words = command_line.command_of(command.split()[1:])
            if words[:1] != ["--help"] and (not name or problem_of(commands[name], words)):
                wrong.append(f"{path.name}: {command}")
    assert wrong == []


def problem_of(command, words):
    """Returns what is wrong with the words after a command's name."""
    if not words:
        return ""
    try:
        command.make_context(command.name, list(words))
    except TyperException as exc:
        return str(exc)
    return ""


def test_paths_of_the_repository_in_sentences_exist():
    found = {(path.name, name) for path in PAGES for name in REPOSITORY_PATH.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 20
    assert [item for item in sorted(found) if not (ROOT / item[1]).exists()] == []


def test_messages_on_the_page_of_errors_are_messages_of_the_code():
    source = "".join(
        path.read_text(encoding="utf-8")
        for package in ("search_spaces", "trainables", "orchestrator")
        for path in (ROOT / package).rglob("*.py")
    )
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    table = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8").partition("## Messages by cause")[2]
    messages = re.findall(r"^\* - `(.+)`$", table, re.MULTILINE)
    parts = {part for message in messages for part in re.split(r"'?\.\.\.'?", message) if len(part) > 5}
    assert len(messages) > 8
    assert [part for part in parts if part.strip(" ?;,") not in joined] == []


def test_versions_of_formats_on_the_page_are_those_of_the_code():
    from orchestrator.cluster import environment
    from orchestrator.ensembles import predictions
    from orchestrator.journal.records import JOURNAL_SCHEMA
    from orchestrator.results import tables
    from orchestrator.runs import references_file
    from orchestrator.steering.requests import REQUEST_SCHEMA
    from orchestrator.trackers import cursor
    from trainables.checkpoints import checkpoint
    from trainables.exporting import manifest

    page = (DOCS / "reference" / "run-folder.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\* - `([^`]+)`[^\n]*\n  - (\d+)$", page, re.MULTILINE))
    assert {name: int(version) for name, version in shown.items()} == {
        "environment.json": environment.SCHEMA_VERSION,
        "journal.jsonl": JOURNAL_SCHEMA,
        "trials.parquet": tables.SCHEMA_VERSION,
        "checkpoints/<trial>/": checkpoint.SCHEMA_VERSION,
        "exports/<rank>-<trial>/": manifest.SCHEMA_VERSION,
        "references.json": references_file.SCHEMA_VERSION,
        "exports/ensemble-<method>/": manifest.SCHEMA_VERSION,
        "ensembles/predictions/": predictions.SCHEMA_VERSION,
        "requests/": REQUEST_SCHEMA,
        "trackers/<tracker>.json": cursor.CURSOR_SCHEMA,
    }
