"""The dashboard's benchmark watches a run that is the made one but for its end, which comes back whole."""

from pathlib import Path

import dashboard
import pytest
from dashboards.browsers import middle
from dashboards.growing import growing, without_end
from dashboards.made_runs import made_run

from orchestrator.journal.reading import read_state
from orchestrator.runs.paths import RunFolder


def test_run_without_its_end_goes_on_to_what_the_whole_one_is(tmp_path: Path) -> None:
    whole = made_run(tmp_path / "whole", num_trials=3, num_epochs=2)
    lines = without_end(whole.root, tmp_path / "live", lines=4)
    live = RunFolder(tmp_path / "live")
    assert read_state(live).finished is None
    with growing(live.root, lines, seconds=0) as thread:
        thread.join(60)
    assert live.journal.read_bytes() == whole.journal.read_bytes()
    assert read_state(live).finished is not None


def test_median_stands_before_its_extremes() -> None:
    assert middle([3.0, 1.0, 2.0], digits=1) == "2.0 (1.0 to 3.0)"


def test_what_a_machine_lacks_for_reading_pages_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr(dashboard.shutil, "which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["dashboard.py"])
    with pytest.raises(SystemExit) as ended:
        dashboard.main()
    assert ended.value.code == 2
    assert "needs chromium, chromedriver, not installed" in capsys.readouterr().err
