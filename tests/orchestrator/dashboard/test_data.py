"""What pages fetch beside themselves: files of a run, and nothing else of the machine."""

import pytest
from dashboards.made_runs import made_run

pytest.importorskip("nicegui")

from fastapi import FastAPI
from starlette.testclient import TestClient

from orchestrator.dashboard.data import add_data
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.runs import WatchedRuns


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
