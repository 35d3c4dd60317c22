"""The commands of the registry: the same facts for people and for scripts, and every mistake in words."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_exports import REAL_RUN, write_export

from orchestrator.cli import app as cli
from orchestrator.cli.registry import COMMANDS

Registry = Callable[..., tuple[int, str]]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Registry:
    """Calls `convfleet registry` in a folder with a run, two exports, and several things that are none."""
    shutil.copytree(REAL_RUN, tmp_path / "runs" / "kept")
    write_export(tmp_path / "one")
    write_export(
        tmp_path / "other", trial="t0009", variant={"family": "residual", "params": {"filters": 16}, "seed": 1}
    )
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "readme.txt").write_text("no registry", encoding="utf-8")
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["convfleet", "registry", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(ended.value.code or 0), captured.out + captured.err

    return call


def document(registry: Registry, *arguments: str) -> Any:
    code, output = registry(*arguments, "--json")
    assert code == 0, output
    return json.loads(output)


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """The same with a registry of two versions of digits and one of flowers."""
    for arguments in (
        "add one --name digits --alias production",
        "add other --name digits --alias candidate",
        "add one --name flowers",
    ):
        code, output = registry(*arguments.split())
        assert code == 0, output
    return registry


def test_a_model_of_a_run_goes_from_candidate_to_production_and_back(registry: Registry) -> None:
    code, output = registry("add", "runs/kept", "--name", "digits", "--alias", "candidate")
    assert (code, output) == (
        0,
        "digits version 1: trial t0000 of kept, 6 files, 0.2 MB, candidate points to it\n",
    )
    assert document(registry, "add", "runs/kept/exports/2-t0005", "--name", "digits")["version"] == 2
    assert registry("promote", "digits", "candidate") == (0, "digits: production points to version 1\n")
    assert document(registry, "promote", "digits", "2") == {"name": "digits", "alias": "production", "version": 2}
    assert document(registry, "rollback", "digits") == {"name": "digits", "alias": "production", "version": 1}
    (listed,) = document(registry, "list")["models"]
    assert (listed["name"], listed["aliases"]) == ("digits", {"candidate": 1, "production": 1})
    assert [version["trial"] for version in listed["versions"]] == ["t0000", "t0005"]
    assert listed["versions"][0]["dataset_fingerprint"] == "5c8fcb0d28d49cb33c90473e85c148ef"
    moves = document(registry, "show", "digits")["moves"]["production"]
    assert [(move["how"], move["version"]) for move in moves] == [("promote", 1), ("promote", 2), ("rollback", 1)]
    assert document(registry, "remove", "digits", "2") == {"name": "digits", "removed": 2}
    assert [item["version"] for item in document(registry, "show", "digits")["removed"]] == [2]


def test_the_second_best_of_a_run_is_added_by_its_rank(registry: Registry) -> None:
    assert document(registry, "add", "runs/kept", "--rank", "2", "--name", "digits")["trial"] == "t0005"


def test_a_list_shows_each_version_with_its_aliases(filled: Registry) -> None:
    code, output = filled("list")
    rows = [line.split() for line in output.splitlines()]
    assert (code, rows[0][:4]) == (0, ["model", "version", "aliases", "study"])
    assert [row[:3] for row in rows[1:]] == [
        ["digits", "1", "production"],
        ["digits", "2", "candidate"],
        ["flowers", "1", "digits"],
    ]
    assert "accuracy 0.8, loss 0.6" in output


def test_one_version_is_shown_with_its_manifest(filled: Registry) -> None:
    code, output = filled("show", "digits", "--version", "candidate")
    assert code == 0
    for text in ("digits version 2", "trial t0009", "residual, seed 1", "filters 16", "of cat, dog", "4 files"):
        assert text in output
    shown = document(filled, "show", "digits", "--version", "2")
    assert shown["manifest"]["study"] == "digits"
    assert set(shown["files"]) == {
        "manifest.json",
        "model.keras",
        "saved_model/saved_model.pb",
        "saved_model/variables/variables.index",
    }


def test_two_versions_are_compared_side_by_side(filled: Registry) -> None:
    rows = document(filled, "compare", "digits", "1", "2")["rows"]
    assert rows["params.filters"] == [8, 16]
    assert rows["test.accuracy"] == [0.8, 0.8]
    assert rows["formats"] == [["keras", "saved_model"]] * 2
    _, output = filled("compare", "digits", "production", "candidate")
    marked = [line.split()[1] for line in output.splitlines() if line.startswith("*")]
    assert marked == ["trial", "family", "params.filters", "seed", "size_bytes"]
    assert "different data" not in output


def test_versions_of_different_data_are_said_not_to_compare(filled: Registry, tmp_path: Path) -> None:
    write_export(tmp_path / "third", dataset_fingerprint="other")
    filled("add", "third", "--name", "digits")
    assert "different data, so their metrics do not compare" in filled("compare", "digits", "1", "3")[1]


def test_a_forced_removal_leaves_the_alias_without_a_version_until_it_is_rolled_back(filled: Registry) -> None:
    filled("promote", "digits", "2")
    assert filled("remove", "digits", "2", "--force") == (0, "digits version 2 is removed\n")
    code, output = filled("show", "digits")
    assert code == 0
    assert "production: no version" in output
    assert filled("rollback", "digits") == (0, "digits: production points to version 1\n")


def test_files_that_no_version_has_are_counted(filled: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry" / "blobs" / "ab").mkdir(exist_ok=True)
    (tmp_path / "registry" / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"123")
    assert document(filled, "gc") == {"files": 1, "size_bytes": 3}
    assert filled("gc") == (0, "0 files deleted, 0.00 MB\n")


def test_models_with_a_whole_history_are_listed_beside_a_damaged_one(filled: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry" / "models" / "digits" / "history" / "00000001.json").write_bytes(b"{}")
    code, output = filled("list")
    assert code == 2
    assert "\nflowers" in output
    assert "digits/history/00000001.json: is not as it was written" in output


# id, arguments, parts of the message
MISTAKES = [
    ("no name", "add one", ["Missing option '--name'"]),
    ("nothing to add", "add none --name digits", ["none: no such export or run", "such as runs/quickstart"]),
    ("a folder of exports", "add runs/kept/exports --name x", ["exports in it: 1-t0000, 2-t0005"]),
    ("a folder of runs", "add runs --name x", ["runs: has neither manifest.json nor study.yaml"]),
    ("a rank too many", "add runs/kept --rank 3 --name x", ["rank 3", "exported are ranks 1, 2", "kept --top 3`"]),
    ("no rank", "add runs/kept --rank 0 --name x", ["--rank: must be a whole number from 1, got '0'"]),
    ("a rank in words", "add runs/kept --rank best --name x", ["--rank: must be a whole number from 1, got 'best'"]),
    ("a rank of an export", "add one --rank 1 --name x", ["rank: one is one export; leave the rank out"]),
    ("a name with a slash", "add one --name a/b", ["name: must be 1 to 100 letters", "got 'a/b'; for example digits"]),
    ("a hidden name", "add one --name .a", ["name: must be", "got '.a'"]),
    ("an alias that is a number", "add one --name x --alias 3", ["alias: must be", "not a number, got '3'"]),
    ("an alias with a space", ["promote", "digits", "1", "--to", "in use"], ["alias: must be", "got 'in use'"]),
    (
        "a registry elsewhere",
        "list --registry gs://bucket/r",
        ["gs://bucket/r: a registry lies in a folder or in S3"],
    ),
    ("a registry that is a file", "add one --name x --registry file", ["file: is a file, not a folder"]),
    ("a folder that is none", "add one --name x --registry words", ["words: has files and is not a registry", "empty"]),
    ("a list of none", "list --registry words", ["words: is not a registry, it has no registry.json"]),
    ("a list of nothing", "list --registry none", ["none: no such registry; `convfleet registry add"]),
    ("near a model", "show digit", ["no model is called 'digit'; did you mean 'digits'?", "models: digits, flowers"]),
    ("no such model", "rollback roses", ["no model is called 'roses'", "models: digits, flowers"]),
    ("no such version", "promote digits 7", ["digits: version 7 does not exist", "versions: 1, 2"]),
    ("version 0", "promote digits 0", ["no version has the alias '0'", "versions: 1, 2"]),
    ("no such alias", "compare digits 1 production2", ["'production2'; did you mean 'production'?"]),
    ("near an alias", "show digits --version prodution", ["did you mean 'production'? aliases: candidate, production"]),
    ("nothing before", "rollback digits", ["production pointed to no version before", "registry promote digits"]),
    ("an alias never given", "rollback digits --alias beta", ["no version has the alias 'beta'", "candidate, prod"]),
    ("a version in use", "remove digits 1", ["digits: production points to version 1", "--to production`", "--force"]),
    ("near a command", "promot digits 1", ["No such command 'promot'", "Did you mean 'promote'?"]),
    ("an unknown option", "list --al", ["No such option: --al"]),
]


@pytest.mark.parametrize(
    ("arguments", "texts"), [pytest.param(arguments, texts, id=name) for name, arguments, texts in MISTAKES]
)
def test_a_mistake_ends_with_2_says_what_there_is_and_changes_nothing(
    filled: Registry, tmp_path: Path, arguments: str | list[str], texts: list[str]
) -> None:
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    code, output = filled(*(arguments.split() if isinstance(arguments, str) else arguments))
    assert code == 2, output
    for text in texts:
        assert text in " ".join(output.split()), output
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_removed_version_is_said_to_be_removed(filled: Registry) -> None:
    filled("promote", "digits", "2")
    filled("remove", "digits", "1")
    assert "digits: version 1 was removed; versions: 2" in filled("show", "digits", "--version", "1")[1]
    code, output = filled("rollback", "digits")
    assert code == 2
    assert "version 1, which production pointed to before, was removed; `convfleet registry promote digits" in output


def test_a_promotion_to_where_an_alias_points_already_is_no_move(filled: Registry) -> None:
    assert filled("promote", "digits", "1") == (0, "digits: production points to version 1\n")
    assert len(document(filled, "show", "digits")["moves"]["production"]) == 1


def test_every_command_has_its_help_and_an_example(registry: Registry) -> None:
    _, text = registry("--help")
    for name, _, example in COMMANDS:
        assert f"\n  {name} " in text
        code, inner = registry(name, "-h")
        assert code == 0
        assert f"Example: convfleet registry {example}" in " ".join(inner.split())


def test_only_loading_a_model_imports_a_heavy_library(filled: Registry, tmp_path: Path) -> None:
    code = (
        "import atexit, sys\n"
        "from orchestrator.cli import app as cli\n"
        "atexit.register(lambda: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        "sys.argv = ['convfleet', 'registry', *sys.argv[1:]]\n"
        "cli.main()\n"
    )
    heavy = {"tensorflow", "keras", "ray", "optuna", "pyarrow", "numpy", "sklearn", "plotly", "PIL", "pandas"}
    for arguments in ("list", "show digits --version 1", "compare digits 1 2", "promote digits 2", "remove digits 1"):
        command = [sys.executable, "-c", code, *arguments.split()]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        imported = set(ended.stderr.split())
        assert "orchestrator" in imported
        assert not imported & heavy
    assert "yaml" not in imported


def test_versions_share_an_alias_until_that_ends(filled: Registry) -> None:
    assert filled("split", "digits", "1=0.75", "2=0.25") == (
        0,
        "digits: who asks for production by a key is shared: version 1 0.75, version 2 0.25; without a key version 1 "
        "answers\n",
    )
    shown = filled("show", "digits")[1]
    assert "production: version 1; by a key version 1 0.75, version 2 0.25\n" in shown
    assert re.search(r"  split     version 1\n", shown)
    (listed, _) = document(filled, "list")["models"]
    assert listed["splits"] == {"production": {"1": 0.75, "2": 0.25}}
    expected = {"name": "digits", "alias": "production", "version": 1, "shares": {"1": 0.5, "2": 0.5}}
    assert document(filled, "split", "digits", "1=.5", "2=.5") == expected
    assert filled("split", "digits", "--end") == (0, "digits: version 1 answers all who ask for production\n")
    assert document(filled, "list")["models"][0]["splits"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("digits", "split: give shares such as 3=0.9 4=0.1, or --end, and not both"),
        ("digits 1=0.5 2=0.5 --end", "split: give shares such as 3=0.9 4=0.1, or --end, and not both"),
        ("digits 1=0.5 2", "split: '2' is no share; write a version's number and a part of 1, such as 4=0.1"),
        ("digits 1=0.5 candidate=0.5", "split: 'candidate=0.5' is no share"),
        ("digits 1=50% 2=50%", "split: '1=50%' is no share"),
        ("digits 1=nan 2=0.5", "split: '1=nan' is no share"),
        ("digits 1=0.5 1=0.5", "split: version 1 has two shares; give it one"),
        ("digits 1=0.5 2=0.4", "digits: shares of a split must be above 0 and 1 in sum, got 1=0.5 2=0.4"),
        ("digits 1=0.5 7=0.5", "digits: version 7 does not exist; versions: 1, 2"),
        ("flowers --end", "flowers: no version has the alias 'production'"),
    ],
)
def test_a_split_that_is_none_is_refused_in_words(filled: Registry, arguments: str, message: str) -> None:
    code, output = filled("split", *arguments.split())
    assert (code, message in output) == (2, True), output
