"""The connection to a cluster's jobs: the token goes where it is asked for, and each refusal has its fix."""

import http.server
import json
import threading
from types import SimpleNamespace

import pytest

from orchestrator.cluster.jobs import client
from orchestrator.cluster.jobs.client import connected, http_address, is_plain_text
from orchestrator.cluster.jobs.job import Job, end_in_words
from orchestrator.cluster.token import refused_in_words, token_problem
from orchestrator.errors import InputError, StudyFailedError

TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    """A home folder without a token, and a mode that is not set; Ray remembers none that it read before."""
    from ray._raylet import AuthenticationTokenLoader

    from orchestrator.forking.ray_workers import read_settings_again

    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that what the code under test sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    read_settings_again()
    AuthenticationTokenLoader.instance().reset_cache()
    yield tmp_path
    monkeypatch.undo()
    read_settings_again()
    AuthenticationTokenLoader.instance().reset_cache()


@pytest.fixture
def dashboard():
    """A server that answers as a dashboard does, and notes what it gets."""
    said = SimpleNamespace(wants="", got=[], address="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization", "")
            said.got.append(given)
            code = 200 if not said.wants else 401 if not given else 200 if given == f"Bearer {said.wants}" else 403
            body = json.dumps({"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""})
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body.encode() if code == 200 else b"refused")

        def log_message(self, *arguments):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    said.address = f"http://127.0.0.1:{server.server_port}"
    yield said
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_is_sent_to_a_cluster_that_asks_for_one_and_to_no_other(dashboard, no_token, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    connected(dashboard.address)
    assert set(dashboard.got) == {""}
    dashboard.wants = TOKEN
    connected(dashboard.address)
    assert dashboard.got[-1] == f"Bearer {TOKEN}"


def test_address_of_another_cluster_in_the_environment_is_not_taken(dashboard, no_token, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    assert connected(dashboard.address).get_address() == dashboard.address
    assert client.os.environ["RAY_ADDRESS"] == "http://127.0.0.1:1"


def test_missing_token_wrong_mode_and_wrong_token_are_told_apart(dashboard, no_token, monkeypatch):
    dashboard.wants = TOKEN
    with pytest.raises(InputError, match=r"wants a token, and there is none, as there is no .*\.ray/auth_token: copy"):
        connected(dashboard.address)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="RAY_AUTH_MODE is disabled: set RAY_AUTH_MODE=token"):
        connected(dashboard.address)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    with pytest.raises(InputError, match="RAY_AUTH_MODE is token, but the token, that of RAY_AUTH_TOKEN, is not the"):
        connected(dashboard.address)


def test_no_error_has_the_token(dashboard, no_token, monkeypatch):
    dashboard.wants = TOKEN
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    with pytest.raises(InputError) as caught:
        connected(dashboard.address)
    assert "f" * 64 not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_dashboard_that_does_not_answer_is_said_with_the_tunnel_and_the_package(no_token):
    with pytest.raises(StudyFailedError, match=r"no Ray dashboard answers .*convfleet\[cluster\].*ssh -N -L 8265"):
        connected("http://127.0.0.1:1")


def test_missing_packages_are_named_with_the_line_that_installs_them(monkeypatch):
    found = client.find_spec
    monkeypatch.setattr(client, "find_spec", lambda name: None if name == "aiohttp" else found(name))
    with pytest.raises(InputError, match=r"need aiohttp, which is not installed; pip install 'convfleet\[cluster\]'"):
        client.demand_cluster_packages()


@pytest.mark.parametrize("address", ["", "http://", "ftp://head", "http://user:word@head", "http://head:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match="expected that of a Ray dashboard"):
        http_address(address)


def test_what_others_can_read_on_its_way_is_known():
    assert is_plain_text("http://head:8265")
    assert not is_plain_text("https://head:8265")
    assert not is_plain_text("http://127.0.0.1:8265")


def test_a_token_that_others_may_read_is_found(no_token):
    path = no_token / ".ray" / "auth_token"
    assert token_problem() == ""
    path.parent.mkdir()
    path.write_text(TOKEN)
    path.chmod(0o644)
    assert token_problem() == f"{path}: others may read Ray's token (mode 0644); chmod 600 {path}"
    path.chmod(0o600)
    assert token_problem() == ""


def test_what_a_cluster_refused_is_said_by_mode_token_and_port(no_token, monkeypatch):
    refused = "Authentication token is missing or incorrect"
    assert refused_in_words(refused) == (
        "the cluster wants a token, and RAY_AUTH_MODE is not set: set RAY_AUTH_MODE=token"
    )
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "there is none" in refused_in_words(refused)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    assert "that of RAY_AUTH_TOKEN, is not the cluster's" in refused_in_words(refused)
    said = refused_in_words("the connection timed out")
    assert said == "check `ray status` there and the port; RAY_AUTH_MODE is token, the token is that of RAY_AUTH_TOKEN"


def test_where_ray_keeps_the_reason_to_itself_a_port_that_listens_says_that_it_is_the_token(
    dashboard, no_token, monkeypatch
):
    said, address = "Failed to connect to Ray cluster", dashboard.address.removeprefix("http://")
    assert refused_in_words(said, address=address).endswith("RAY_AUTH_MODE is not set: set RAY_AUTH_MODE=token")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    assert "the token, that of RAY_AUTH_TOKEN, is not the cluster's" in refused_in_words(said, address=address)
    for silent in ("127.0.0.1:1", "auto", "127.0.0.1:port", "127.0.0.1:99999999"):
        assert refused_in_words(said, address=silent).startswith("check `ray status` there and the port")


def job(status, *, exit_code=None, message="", command="convfleet run x"):
    return Job(
        name="x-1",
        status=status,
        exit_code=exit_code,
        study="x",
        run="/r/x",
        command=command,
        message=message,
        started_at=1.0,
        ended_at=2.0,
    )


@pytest.mark.parametrize(
    ("ended", "code", "said"),
    [
        (job("SUCCEEDED", exit_code=0), 0, "job x-1: done; its run on the nodes: /r/x"),
        (job("FAILED", exit_code=2), 2, "ended with exit code 2"),
        (job("FAILED", exit_code=127), 127, "the head has no command 'convfleet'; install convfleet there"),
        (job("FAILED", exit_code=130), 130, "its study is paused; launch it again to go on"),
        (job("FAILED", exit_code=-9), 137, "ended with exit code -9"),
        (job("FAILED", message="the supervisor died\nmore"), 1, "did not run to its end (the supervisor died)"),
        (job("STOPPED"), 130, "was stopped, and its study pauses then; launch it again to go on"),
    ],
)
def test_a_job_ends_with_the_exit_code_of_its_study(ended, code, said):
    assert ended.code == code
    assert said in end_in_words(ended)
