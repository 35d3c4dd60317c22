"""The command line: quick to start, the same facts for people and for scripts, and exit codes that can be relied on."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import app as cli
from orchestrator.errors import ExportError, JournalError, OrchestratorError, StudyFailedError, StudyPausedError
from orchestrator.journal.file import Journal
from orchestrator.journal.records import Record
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study, packaged_studies
from search_spaces import builtin_names, builtin_text
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import TRAINING
from trainables.specs.export import ExportResult

Outcome = tuple[int, str, str]
Convfleet = Callable[..., Outcome]

HEAVY = ("ray", "tensorflow", "keras", "optuna", "pyarrow", "numpy", "sklearn", "plotly", "PIL", "pandas")
SCRIPT = str(Path(sys.executable).parent / "convfleet")


@pytest.fixture
def convfleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["convfleet", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def run(tmp_path: Path, make_sweep: Callable[..., list[Record]]) -> RunFolder:
    """A run whose journal tells of a made-up sweep."""
    folder = RunFolder(tmp_path / "runs" / "quickstart")
    folder.root.mkdir(parents=True)
    folder.study.write_text(load_study("quickstart").to_yaml(), encoding="utf-8")
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    return folder


@pytest.mark.parametrize(
    ("command", "is_light"),
    [
        ("--help", True),
        ("run --help", True),
        ("resume --help", True),
        ("plan --help", True),
        ("validate quickstart", False),
        ("spaces", False),
        ("families", False),
        ("run quickstrat", False),
    ],
)
def test_quick_commands_import_no_heavy_library(command: str, is_light: bool) -> None:
    code = (
        "import atexit, sys\n"
        "from orchestrator.cli import app as cli\n"
        f"sys.argv = ['convfleet', *{command.split()!r}]\n"
        "atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr))\n"
        "cli.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    imported = {name.partition(".")[0] for name in result.stderr.splitlines()}
    assert "orchestrator" in imported
    assert not imported & {*HEAVY, *(["yaml", "trainables", "search_spaces"] if is_light else [])}


def test_help_names_every_command_and_every_command_gives_an_example(convfleet: Convfleet) -> None:
    code, text, _ = convfleet("--help")
    assert code == 0
    commands = [
        "run",
        "resume",
        "status",
        "analyze",
        "plan",
        "replay",
        "validate",
        "spaces",
        "families",
        "doctor",
        "report",
        "export",
    ]
    for command in commands:
        assert f"\n  {command} " in text
        code, inner, _ = convfleet(command, "-h")
        assert code == 0
        assert f"Example: convfleet {command}" in inner


def test_nothing_at_all_shows_the_help_and_exits_with_2(convfleet: Convfleet) -> None:
    code, out, err = convfleet()
    assert code == 2
    assert "Start with: convfleet run quickstart" in out + err


@pytest.mark.parametrize("name", packaged_studies())
def test_packaged_studies_are_valid(convfleet: Convfleet, name: str) -> None:
    code, text, err = convfleet("validate", name)
    assert (code, err) == (0, "")
    assert text.startswith(f"{name}: valid\n")
    assert f"convfleet run {name}" in text


def test_validate_tells_scripts_size_and_trials(convfleet: Convfleet) -> None:
    code, text, _ = convfleet("validate", "quickstart", "--json", "--set", "search.trials=3")
    assert code == 0
    told = {"study": "quickstart", "is_valid": True, "space_size": None, "trials": 3, "search": "tpe", "advice": []}
    assert json.loads(text) == told


def test_validate_tells_which_search_auto_is_and_why(convfleet: Convfleet) -> None:
    chosen = ("validate", "quickstart", "--set", "search.algorithm=auto", "--set", "search.trials=9")
    why = "sobol, as 9 trials are too few to learn from, and its points fill the space evenly"
    assert json.loads(convfleet(*chosen, "--json")[1])["search"] == why
    assert f"  search     9 trials by {why}\n" in convfleet(*chosen)[1]


def test_validate_counts_a_space_that_is_smaller_than_the_study(convfleet: Convfleet, tmp_path: Path) -> None:
    text = "name: s\ndata: {source: digits}\nspace: {family: sequential, params: {filters: {choice: [8, 16]}}}\n"
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    _, told, _ = convfleet("validate", "s.yaml", "--json")
    assert json.loads(told)["trials"] == json.loads(told)["space_size"] == 2
    assert "2 variants; filters" in convfleet("validate", "s.yaml")[1]


def test_spaces_are_listed_with_size_and_printed_whole(convfleet: Convfleet) -> None:
    code, text, _ = convfleet("spaces")
    assert code == 0
    for name in builtin_names():
        assert f"{name}: " in text
        assert convfleet("spaces", name) == (0, builtin_text(name), "")


def test_printed_space_is_a_valid_study_section(convfleet: Convfleet, tmp_path: Path) -> None:
    _, text, _ = convfleet("spaces", "cnn-small")
    indented = "\n".join(f"  {line}" for line in text.splitlines())
    (tmp_path / "s.yaml").write_text(f"name: s\ndata: {{source: digits}}\nspace:\n{indented}\n", encoding="utf-8")
    assert convfleet("validate", "s.yaml")[0] == 0


def test_families_are_listed_with_every_parameter(convfleet: Convfleet) -> None:
    _, text, _ = convfleet("families")
    for name, family in FAMILIES.items():
        assert f"{name}: {family.summary}" in text
        for parameter in [*family.parameters, *TRAINING]:
            assert f"    {parameter} " in text
    _, told, _ = convfleet("families", "--json")
    assert json.loads(told) == {
        name: {"summary": family.summary, "parameters": sorted(family.parameters)} for name, family in FAMILIES.items()
    }


def test_status_tells_scripts_where_a_run_stands(convfleet: Convfleet, run: RunFolder) -> None:
    code, text, err = convfleet("status", str(run.root), "--json")
    assert (code, err) == (0, "")
    told: dict[str, Any] = json.loads(text)
    assert told["state"] == "finished"
    assert told["num_trials"] == 14
    assert {name: count for name, count in told["trials"].items() if count} == {
        "completed": 4,
        "stopped": 8,
        "infeasible": 1,
        "failed": 1,
    }
    assert told["best"]["variant"]["family"] in FAMILIES | {"transfer": None}
    assert told["folder"] == str(run.root)


@pytest.mark.parametrize("is_alive", [True, False])
def test_status_knows_whether_the_driver_is_alive(
    convfleet: Convfleet,
    run: RunFolder,
    make_sweep: Callable[..., list[Record]],
    is_alive: bool,
) -> None:
    run.journal.unlink()
    with Journal(run.journal) as journal:
        for record in make_sweep()[:5]:
            journal.append(record)
    if is_alive:
        with driver_lock(run):
            _, text, _ = convfleet("status", str(run.root), "--json")
    else:
        _, text, _ = convfleet("status", str(run.root), "--json")
    told = json.loads(text)
    assert told["state"] == ("running" if is_alive else "interrupted")
    assert [item["trial"] for item in told["running"]] == (["t0000"] if is_alive else [])


def test_status_for_people_names_the_next_step(convfleet: Convfleet, run: RunFolder) -> None:
    code, text, _ = convfleet("status", str(run.root))
    assert code == 0
    assert "4 completed" in text
    assert f"convfleet export {run.root}" in text


def test_report_prints_where_it_is(convfleet: Convfleet, run: RunFolder) -> None:
    code, text, _ = convfleet("report", str(run.root))
    assert (code, text.strip()) == (0, str(run.report))
    assert run.report.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (StudyFailedError("no trial has a result"), 1, "error: no trial has a result\n"),
        (JournalError("line 3: not a record"), 1, "error: line 3: not a record\n"),
        (OrchestratorError("one\ntwo"), 1, "error: one\nerror: two\n"),
        (StudyPausedError("runs/x: paused; nothing is lost"), 130, "paused: runs/x: paused; nothing is lost\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["failed", "journal", "two lines", "paused", "interrupted"],
)
def test_exit_code_says_how_it_ended(
    convfleet: Convfleet, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("orchestrator.study.loading.load_study", fail)
    assert convfleet("run", "quickstart") == (code, "", text)


@pytest.mark.parametrize("arguments", [["status"], ["run", "none"]], ids=["status", "error"])
def test_piped_output_has_no_colours(run: RunFolder, arguments: list[str]) -> None:
    full = [*arguments, str(run.root)] if arguments == ["status"] else arguments
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    result = subprocess.run([SCRIPT, *full], capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert result.stdout or result.stderr
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(("no_color", "is_coloured"), [(None, True), ("1", False)])
def test_error_on_a_terminal_is_coloured_unless_the_user_says_no(
    tmp_path: Path, no_color: str | None, is_coloured: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [SCRIPT, "status", "none"], stderr=theirs, stdout=theirs, cwd=tmp_path, env=environment, check=False
        )
        text = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "none: no such run folder" in text
    assert ("\x1b[31merror:\x1b[0m" in text) is is_coloured


def test_exports_are_shown_with_the_intervals_of_their_test_accuracy(
    convfleet: Convfleet, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {"loss": 0.25, "accuracy": 0.5}
    made = ExportResult(rank=1, trial="t0003", folder="exports/1-t0003", test_metrics=metrics)
    monkeypatch.setattr("orchestrator.driver.runner.export_models", lambda *_, **__: [made])
    _, before, _ = convfleet("export", "runs/quickstart")
    assert before == "1. t0003: test loss 0.2500, test accuracy 0.5000  exports/1-t0003\n"
    shares = {"metrics": ["accuracy"], "images": {"test": 14}}
    run.environment.write_text(json.dumps({"sessions": [{"data": {"shares": shares}}]}))
    _, text, _ = convfleet("export", "runs/quickstart")
    assert text == "1. t0003: test loss 0.2500, test accuracy 0.5000 (0.27-0.73)  exports/1-t0003\n"
    (found,) = json.loads(convfleet("export", "runs/quickstart", "--json")[1])
    assert found["test_accuracy"] == 0.5
    assert found["intervals"] == {"test_accuracy": pytest.approx([0.268, 0.732], abs=1e-3)}


@pytest.mark.parametrize(
    "arguments", [("run", "quickstart"), ("resume", "runs/quickstart"), ("export", "runs/quickstart")]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failed_export_costs_nothing_but_itself(
    convfleet: Convfleet, run: RunFolder, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], as_json: bool
) -> None:
    made = ExportResult(rank=2, trial="t0005", folder="runs/quickstart/exports/2-t0005", test_metrics={"accuracy": 0.5})

    def fail(*_: Any, **__: Any) -> None:
        error = ExportError("t0003: model.keras: plain Keras cannot load nets.Gate", made=[made])
        error.run = run.root
        raise error

    for module, name in (("api", "run_study"), ("api", "resume_study"), ("runner", "export_models")):
        monkeypatch.setattr(f"orchestrator.driver.{module}.{name}", fail)
    code, out, err = convfleet(*arguments, *(["--json"] if as_json else []))
    assert code == 1
    assert "error: t0003: model.keras: plain Keras cannot load nets.Gate" in err
    expected = "2-t0005" if arguments[0] == "export" else "t0003"
    assert expected in (json.dumps(json.loads(out)) if as_json else out)
    assert ("rank  trial" in out) == (arguments[0] != "export" and not as_json)
