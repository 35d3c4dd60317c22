"""What pages fetch beside themselves: files of a run, and nothing else of the machine."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dashboards.made_runs import made_run

pytest.importorskip("nicegui")

from fastapi import FastAPI
from starlette.testclient import TestClient

from orchestrator.dashboard.data import add_data
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.runs import WatchedRuns
from orchestrator.journal.records import Record
from orchestrator.journal.study_state import StudyState


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    runs = tmp_path_factory.mktemp("runs")
    made_run(runs / "made", num_trials=3, num_epochs=2).root.rename(runs / "m\u00fcde \u6a21")
    (runs / "secret.csv").write_text("secret")
    live, application = Live(runs=WatchedRuns([runs])), FastAPI()
    live.runs.look()
    for run in live.runs.all:
        run.poll()
    add_data(application, live)
    return TestClient(application)


@pytest.mark.parametrize("name", ["trials.csv", "trials.parquet", "epochs.csv", "epochs.parquet"])
def test_tables_of_a_run_with_any_name_can_be_downloaded(client: TestClient, name: str) -> None:
    answer = client.get(f"/data/run/m\u00fcde \u6a21/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="m_de__-{name}"'


@pytest.mark.parametrize(
    "path", ["/data/run/../secret.csv", "/data/run/m/../secret.csv", "/data/run/%2e%2e/secret.csv", "/data/run/a/b.csv"]
)
def test_nothing_beside_the_runs_is_handed_out(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_link_in_a_run_folder_is_not_followed(client: TestClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    runs = tmp_path_factory.mktemp("linked")
    folder = made_run(runs / "linked", num_trials=2, num_epochs=1)
    folder.report.symlink_to("/etc/hostname")
    live, application = Live(runs=WatchedRuns([runs])), FastAPI()
    live.runs.look()
    for run in live.runs.all:
        run.poll()
    add_data(application, live)
    assert TestClient(application).get("/data/run/linked/report.html").status_code == 404


def test_a_table_that_is_asked_for_while_the_journal_is_read_has_all_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run(tmp_path / "made", num_trials=30, num_epochs=2)
    live, application = Live(runs=WatchedRuns([tmp_path])), FastAPI()
    live.runs.look()
    (run,) = live.runs.all
    is_asked, apply = threading.Event(), FollowedRun._apply

    def slowly(run: FollowedRun, record: Record, state: StudyState) -> None:
        if state.num_records == 20:
            is_asked.wait(20)
        apply(run, record, state)

    monkeypatch.setattr(FollowedRun, "_apply", slowly)
    add_data(application, live)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(run.poll)
        while not run.is_open:
            assert not reading.done()
        answer = pool.submit(TestClient(application).get, "/data/run/made/trials.csv")
        threading.Timer(0.5, is_asked.set).start()
        lines = answer.result(30).text.strip().splitlines()
    assert len(lines) == 1 + 30


@pytest.mark.parametrize("name", ["trials.csv", "epochs.parquet"])
def test_of_a_damaged_journal_there_is_no_table_but_the_place_of_the_damage(tmp_path: Path, name: str) -> None:
    folder = made_run(tmp_path / "made", num_trials=30, num_epochs=2)
    lines = folder.journal.read_bytes().split(b"\n")
    folder.journal.write_bytes(b"\n".join([*lines[:20], b"{", *lines[21:]]))
    live, application = Live(runs=WatchedRuns([tmp_path])), FastAPI()
    live.runs.look()
    live.runs.all[0].poll()
    add_data(application, live)
    answer = TestClient(application).get(f"/data/run/made/{name}")
    assert answer.status_code == 409
    assert "no whole table" in answer.json()["detail"]
    assert "line 21" in answer.json()["detail"]
