"""`convfleet init` writes a study file once; it and `run` say what is wrong with images before anything starts."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.cli import app as cli

Convfleet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def convfleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Convfleet:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["convfleet", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def last(errors: str) -> str:
    return errors.splitlines()[-1]


def test_init_writes_a_study_file_once_and_prints_it_on_demand(convfleet: Convfleet, tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", x=np.arange(64 * 40).reshape(40, 8, 8) % 251, y=np.arange(40) % 2)
    code, printed, errors = convfleet("init", "digits.npz", "-o", "-")
    assert (code, list(tmp_path.glob("*.yaml"))) == (0, []), errors
    code, out, _ = convfleet("init", "digits.npz", "--minutes", "4", "--json")
    told = json.loads(out)
    assert (code, told["study"], told["file"]) == (0, "digits", "digits.yaml")
    values = {choice["key"]: choice["value"] for choice in told["choices"]}
    assert (values["data.source"], values["search.minutes"]) == ("npz", 3.0)
    assert "  minutes: 3.0\n" in (tmp_path / "digits.yaml").read_text()
    exists = "error: digits.yaml: exists already; overwrite it with --force, or name another file with -o"
    code, _, errors = convfleet("init", "digits.npz")
    assert (code, last(errors)) == (2, exists)
    assert convfleet("init", "digits.npz", "--force")[0] == 0
    assert (tmp_path / "digits.yaml").read_text() == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "empty"), "empty: is empty; put the pictures of each class into a folder named for it"),
        (("run", "quickstart", "--minutes", "0"), "--minutes: expected a number above 0, got 0.0; for example --min"),
        (("run", "quickstart", "--label", "x"), "--label x: is for folders and files of images, got the study 'quick"),
        (("init", "a.docx"), "a.docx: is a document, which holds no labelled images; give a folder of class folders"),
        (("init", "a.docx", "-o", "none/a.yaml"), "none/a.yaml: its folder does not exist; make it, or name another"),
        (("init", "a.docx", "-o", "empty"), "empty: is a folder, expected a file to write; name one with -o"),
    ],
)
def test_run_and_init_say_what_is_wrong(
    arguments: tuple[str, ...], message: str, convfleet: Convfleet, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.docx").touch()
    code, out, errors = convfleet(*arguments)
    assert (code, out) == (2, "")
    assert message in last(errors)
    assert not (tmp_path / "runs").exists()
