"""The command: what it refuses, how it ends, and a dashboard beside a run."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from dashboards.made_runs import made_run
from open_dashboards import open_dashboard
from typer.testing import CliRunner

pytest.importorskip("nicegui")

from orchestrator.cli.app import app
from orchestrator.dashboard import beside
from orchestrator.errors import InputError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none"], "no such folder; give a folder of runs such as runs"),
        (["--port", "70000"], "--port: must be a whole number of 0 to 65535, got 70000"),
        (["--token-file", "none"], "none cannot be read"),
        ([".", "--host", "no such host"], "cannot listen there"),
    ],
)
def test_bad_input_is_refused_with_its_place_and_the_fix(
    tmp_path: Path, words: list[str], said: str, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    result = CliRunner().invoke(app, ["dashboard", *words])
    assert isinstance(result.exception, InputError)
    assert said in str(result.exception)


def test_missing_packages_are_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "find_spec", lambda name: None if name == "nicegui" else object())
    with pytest.raises(
        InputError, match=r"needs nicegui, which is not installed; pip install 'convfleet\[dashboard\]'"
    ):
        beside.demand_packages()


def test_two_dashboards_do_not_meet_and_end_without_a_trace(tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "made", num_trials=2, num_epochs=1)
    with (
        open_dashboard([tmp_path / "runs"], log=tmp_path / "one.txt") as one,
        open_dashboard([tmp_path / "runs"], log=tmp_path / "other.txt") as other,
    ):
        assert status_of(one) == status_of(other) == 200
        assert status_of(one.partition("/?")[0] + "/?" + other.partition("/?")[2]) == 401
    for log in ("one.txt", "other.txt"):
        assert "Traceback" not in (tmp_path / log).read_text()
    assert sorted(path.name for path in (tmp_path / "runs" / "made").iterdir()) == ["journal.jsonl", "study.yaml"]


def test_dashboard_beside_a_run_answers_at_once_and_ends_with_it(tmp_path: Path) -> None:
    with beside.dashboard_beside(tmp_path / "runs") as address:
        assert status_of(address) == 200
        assert status_of(address.partition("/?")[0]) == 401
    with pytest.raises(urllib.error.URLError):
        status_of(address)


def test_dashboard_beside_a_run_that_is_killed_ends_as_well(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from orchestrator.dashboard.beside import dashboard_beside\n"
        "with dashboard_beside(Path(sys.argv[1])) as address:\n    print(address, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert status_of(address) == 200
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            status_of(address, seconds=0.2)
        except OSError:
            return
    pytest.fail("the dashboard goes on without its run")


def status_of(address: str, *, seconds: float = 60.0) -> int:
    try:
        with urllib.request.urlopen(address, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
