"""Pages that follow runs: a fault of one page stays its own."""

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from dashboards.made_runs import made_run

pytest.importorskip("nicegui")

from orchestrator.dashboard.parts.live import Live, Viewer
from orchestrator.dashboard.watching.runs import WatchedRuns


class Browser(nullcontext[None]):
    has_socket_connection = True


def test_page_that_fails_keeps_no_other_page_from_being_brought_up_to_date(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made_run(tmp_path / "made", num_trials=2, num_epochs=1)
    live, shown = Live(runs=WatchedRuns([tmp_path])), []
    live.runs.look()
    (run,) = live.runs.all

    def fail() -> None:
        raise KeyError("t0007")

    client: Any = Browser()
    live.viewers = [Viewer(client=client, run=run, refresh=act) for act in (fail, lambda: shown.append(run.version))]
    run.poll()
    asyncio.run(live._show({run}))
    assert shown == [1]
    assert "run=made page not brought up to date" in caplog.text


def test_run_that_cannot_be_worked_out_keeps_no_other_page_from_being_brought_up_to_date(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        made_run(tmp_path / name, num_trials=2, num_epochs=1)
    live, shown = Live(runs=WatchedRuns([tmp_path])), []
    live.runs.look()
    for run in live.runs.all:
        run.poll()
    client: Any = Browser()
    live.viewers = [Viewer(client=client, run=run, refresh=lambda: shown.append(1)) for run in live.runs.all]
    monkeypatch.setattr("orchestrator.dashboard.parts.live.study_row", lambda run: 1 / (run.key == "one"))
    asyncio.run(live._show(live.runs.all))
    assert shown == [1, 1]
    assert "run=other not worked out" in caplog.text


def test_page_catches_up_with_what_changed_before_its_browser_came_and_with_nothing_else(tmp_path: Path) -> None:
    made_run(tmp_path / "made", num_trials=2, num_epochs=1)
    runs, shown = WatchedRuns([tmp_path]), []
    runs.look()
    (run,) = runs.all
    run.poll()
    client: Any = Browser()
    viewer = Viewer(client=client, run=run, refresh=lambda: shown.append(run.version), shown=run.version)
    viewer.catch_up()
    assert shown == []
    run.version += 1
    viewer.catch_up()
    viewer.catch_up()
    assert shown == [run.version]


def test_page_of_all_runs_always_catches_up(tmp_path: Path) -> None:
    client, shown = Browser(), []
    viewer = Viewer(client=client, run=None, refresh=lambda: shown.append(1))  # type: ignore[arg-type]
    viewer.catch_up()
    viewer.catch_up()
    assert shown == [1, 1]


def test_page_that_could_not_be_shown_is_shown_when_its_browser_comes_again(tmp_path: Path) -> None:
    made_run(tmp_path / "made", num_trials=2, num_epochs=1)
    runs, tried = WatchedRuns([tmp_path]), []
    runs.look()
    (run,) = runs.all
    run.poll()

    def refresh() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise KeyError("t0007")

    client: Any = Browser()
    viewer = Viewer(client=client, run=run, refresh=refresh)
    with pytest.raises(KeyError):
        viewer.catch_up()
    viewer.catch_up()
    viewer.catch_up()
    assert len(tried) == 2
