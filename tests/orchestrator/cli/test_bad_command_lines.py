"""Whatever is wrong with a command line, it ends with exit code 2, what was received and how to mend it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import app as cli

Outcome = tuple[int, str]
Convfleet = Callable[..., Outcome]

SPACE = "space: {family: sequential, params: {filters: 8}}\n"
STUDY = f"name: demo\ndata: {{source: digits}}\n{SPACE}"

# id, arguments after `convfleet`, place, received, fix
COMMAND_LINES = [
    ("nothing named", "run", "Missing argument 'STUDY'", "Missing argument", "Try 'convfleet run -h'"),
    ("near a packaged name", "run quickstrat", "quickstrat", "no such study file", "did you mean 'quickstart'?"),
    ("folder as study", "validate empty", "empty", "is a folder", "give a YAML file"),
    (
        "empty text as study",
        ["run", ""],
        "''",
        "no such study file",
        "residual, sequential, subclassed, transfer",
    ),
    ("endless name", ["validate", "a" * 5000], "aaaa", "cannot be looked for", "give a YAML file"),
    ("unknown option", "run ok.yaml --fast", "--fast", "No such option", "Try 'convfleet run -h'"),
    ("near an option", "run ok.yaml --jsn", "--jsn", "No such option", "--json"),
    ("unknown command", "statsu x", "'statsu'", "No such command", "Did you mean 'status'"),
    ("one argument more", "validate ok.yaml more", "(more)", "unexpected extra", "Try 'convfleet validate -h'"),
    ("option without value", "run ok.yaml --set", "--set", "Option '--set'", "requires an argument"),
    ("runs is a file", "run ok.yaml --runs ok.yaml", "ok.yaml/demo", "ok.yaml is not a folder", "another place"),
    ("runs below a file", "run ok.yaml --runs ok.yaml/x", "ok.yaml/x/demo", "Not a directory", "another place"),
    ("set without value", "run ok.yaml --set seed", "--set seed", "expected key=value", "--set schedule.max_epochs=3"),
    ("set without key", "run ok.yaml --set =3", "--set =3", "expected key=value", "for example"),
    ("set with an empty key", "run ok.yaml --set a..b=3", "--set a..b=3", "expected key=value", "for example"),
    ("set through a scalar", "run ok.yaml --set name.x=3", "--set name.x=3", "name is 'demo'", "set name as a whole"),
    ("set to bad yaml", "run ok.yaml --set seed=[1", "--set seed=[1, line 1, column 3", "'[1'", "brackets"),
    ("set of an unknown key", "run ok.yaml --set serach.x=3", "serach", "{'x': 3}", "did you mean 'search'?"),
    ("set to a bad value", "run ok.yaml --set search.trials=0", "search.trials", "got 0", "trials: 24"),
    ("set in an empty file", "run empty.yaml --set seed=1", "empty.yaml", "got None", "convfleet run quickstart"),
    ("set to a missing file", "run npz.yaml --set data.path=none.npz", "data.path", "none.npz", "correct the path"),
    ("missing data file", "run npz.yaml", "data.path", "'gone.npz'", "correct the path"),
    ("binary file", "validate binary.yaml", "binary.yaml", "byte 128", "save it as UTF-8"),
    ("huge file", "validate huge.yaml", "huge.yaml", "larger than 1,000,000 bytes", "a few lines of YAML"),
    ("built-in space", "spaces cnn-smal", "cnn-smal", "no built-in space", "did you mean 'cnn-small'?"),
    ("unknown format", "export new --format coreml", "--format", "got 'coreml'", "one of keras, saved_model"),
    ("near a format", "export new --format saved-model", "--format", "'saved-model'", "mean 'saved_model'?"),
    ("near a method", "ensemble new --method greddy", "--method", "got 'greddy'", "did you mean 'greedy'?"),
    ("one vote", "ensemble new --size 1", "--size", "got '1'", "from 2 to 64"),
    ("votes in words", "ensemble new --size all --method x", "--method", "got 'all'", "for example --size 8"),
    ("no models", "export new --top 0", "--top", "got '0'", "from 1 to 1000"),
    (
        "storage of no kind",
        "validate ok.yaml --set storage=ftp://h/x",
        "storage.uri",
        "'ftp://h/x'",
        "s3://bucket/runs",
    ),
    (
        "storage with a secret",
        "run ok.yaml --set storage=s3://a:b@c",
        "storage.uri",
        "credentials",
        "environment varia",
    ),
    ("run of no kind", "resume ftp://h/x", "RUN", "got 'ftp://h/x'", "one of s3://"),
    ("run elsewhere that is none", "status file:///none/x", "file:///none/x", "no such run", "s3://bucket/runs/quick"),
    ("no export", "predict none a.png", "none", "no such folder", "such as runs/quickstart/exports/1-t0003"),
    (
        "no number of classes",
        "predict none a.png --top 0",
        "--top",
        "greater than or equal to 1",
        "Try 'convfleet predict",
    ),
    (
        "another export",
        "evaluate empty --data ok.yaml",
        "empty",
        "has no manifest.json",
        "give the folder of an export",
    ),
    (
        "a key of another section",
        "evaluate x --data y --set seed=1",
        "--set seed=1",
        "data section",
        "data.image_column",
    ),
    ("near a tracker", "track new --to mlfow", "--to", "got 'mlfow'", "did you mean 'mlflow'?"),
    ("no tracker", "track new", "--to", "Missing option", "Try 'convfleet track -h'"),
    ("a run that never began", "track new --to tensorboard", "new", "no record yet", "`convfleet resume new` begins"),
    ("models in words", "export new --top all", "--top", "got 'all'", "for example --top 3"),
]
COMMAND_LINES += [
    row
    for command in ("resume", "status", "report", "export", "ensemble")
    for row in (
        (f"{command} no folder", f"{command} none", "none", "no such run folder", "runs there: half, new"),
        (f"{command} a file", f"{command} ok.yaml", "ok.yaml", "is a file", "such as runs/quickstart"),
        (f"{command} another folder", f"{command} empty", "empty", "has no study.yaml", "`convfleet run` made"),
        (f"{command} half a folder", f"{command} half", "half", "has no journal.jsonl", "`convfleet run` made"),
        (f"{command} an endless name", [command, "a" * 5000], "aaaa", "cannot be looked for", "give a folder"),
    )
]
COMMAND_LINES += [
    (f"{command} an empty journal", f"{command} new", "new", "no record yet", "`convfleet resume new` begins")
    for command in ("status", "report", "export", "ensemble")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a good study and several things that are none."""
    files: dict[str, str | bytes] = {
        "ok.yaml": STUDY,
        "empty.yaml": "",
        "npz.yaml": f"name: demo\ndata: {{source: npz, path: gone.npz}}\n{SPACE}",
        "binary.yaml": bytes(range(256)),
        "huge.yaml": "#" * 1_000_001,
        "half/study.yaml": STUDY,
        "new/study.yaml": STUDY,
        "new/journal.jsonl": "",
        "empty/readme.txt": "",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def convfleet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["convfleet", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return call


@pytest.mark.parametrize("row", [pytest.param(row[1:], id=row[0]) for row in COMMAND_LINES])
def test_bad_command_line_exits_with_2_and_says_how_to_mend_it(
    convfleet: Convfleet, folder: Path, row: tuple[str | list[str], str, str, str]
) -> None:
    arguments, place, received, fix = row
    before = sorted(folder.rglob("*"))
    code, output = convfleet(*(arguments.split() if isinstance(arguments, str) else arguments))
    assert code == 2
    for text in (place, received, fix):
        assert text in output
    assert sorted(folder.rglob("*")) == before, "a refused command leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("validate bad.yaml", "error: bad.yaml: seed: must be greater than or equal to 0, got -1"),
        ("run bad.yaml", "error: bad.yaml: seed: must be greater than or equal to 0, got -1"),
        ("run quickstrat", "did you mean 'quickstart'?"),
        ("status none", "error: none: no such run folder"),
        ("export new --top 0", "error: --top: must be a whole number from 1 to 1000, got '0'"),
    ],
)
def test_installed_script_says_the_same(folder: Path, arguments: str, expected: str) -> None:
    (folder / "bad.yaml").write_text(f"{STUDY}seed: -1\n", encoding="utf-8")
    script = Path(sys.executable).parent / "convfleet"
    result = subprocess.run(
        [str(script), *arguments.split()], capture_output=True, text=True, env=dict(os.environ), timeout=60, check=False
    )
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["status", "report", "export"])
def test_damaged_journal_is_told_with_its_line_and_without_a_traceback(
    convfleet: Convfleet, folder: Path, command: str
) -> None:
    (folder / "new" / "journal.jsonl").write_text('{"type": ["study_opened"]}\n', encoding="utf-8")
    code, output = convfleet(command, "new")
    assert code == 1
    assert output.startswith("error: new/journal.jsonl, line 1: not a record")
    assert "restore it from a backup" in output


def test_system_that_refuses_ends_a_command_without_a_traceback(
    convfleet: Convfleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.study.loading.load_study", refuse)
    assert convfleet("validate", "ok.yaml") == (
        1,
        "error: the system refused something ([Errno 28] No space left on device); mend that and try again\n",
    )
