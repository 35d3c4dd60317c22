"""`convfleet serve` refuses what it cannot serve with exit code 2, and a token never leaves its file and its owner."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from served_models import make_registry_of

from orchestrator.cli import app as cli
from orchestrator.serving.on_ray import nodes
from orchestrator.serving.settings import ServingSettings, is_token, new_token, sha256_of, token_of

Serve = Callable[..., tuple[int, str]]
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Serve:
    """Calls `convfleet serve` in a folder with a registry and several things that are none."""
    make_registry_of(tmp_path)
    (tmp_path / "words").mkdir()
    for name, content, mode in (
        ("token", f"{TOKEN}\n", 0o600),
        ("open", TOKEN, 0o640),
        ("short", "0123", 0o600),
        ("spaces", f"{TOKEN} {TOKEN}", 0o600),
    ):
        (tmp_path / name).write_text(content, encoding="ascii")
        (tmp_path / name).chmod(mode)
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["convfleet", "serve", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(ended.value.code or 0), captured.out + captured.err

    return call


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ("none", ("none: no such registry", "convfleet registry add")),
        ("words", ("words: is not a registry",)),
        ("gs://bucket/registry", ("gs://bucket/registry: a registry lies in a folder or in S3",)),
        ("registry --memory 2", ("--memory: must be a number above 0 and one of B, KB,", "got '2'", "2GiB")),
        ("registry --memory 0GiB", ("--memory: must be a number above 0", "got '0GiB'")),
        ("registry --body much", ("--body: must be a number above 0", "got 'much'")),
        ("registry --port 0", ("--port: must be a whole number of 1 to 65535, got 0",)),
        ("registry --requests 0", ("--requests: must be a whole number of 1 to 10000, got 0",)),
        ("registry --replicas -1", ("--replicas: must be a whole number of 1 to 256, got -1",)),
        ("registry --cpus 2", ("--cpus 2: is for a cluster, with --address",)),
        ("registry --cpus 2000 --address auto", ("--cpus: must be a whole number of 0 to 1024, got 2000",)),
        ("registry --address ray://head:10001", ("--address ray://head:10001: a command outside of the cluster",)),
        ("registry --token-file nothing", ("nothing cannot be read (No such file or directory)", "openssl rand")),
        ("registry --token-file words", ("words", "openssl rand")),
        ("registry --token-file pipe", ("pipe is not a file", "openssl rand")),
        ("registry --token-file open", ("others may read open, its mode is 640; chmod 600 open",)),
        ("registry --token-file short", ("short must hold one line of 16 to 4096 ASCII letters",)),
        ("registry --token-file spaces", ("spaces must hold one line",)),
    ],
)
def test_what_cannot_be_served_is_refused(served: Serve, arguments: str, messages: tuple[str, ...]) -> None:
    code, output = served(*arguments.split())
    assert code == 2
    for message in messages:
        assert message in output
    assert TOKEN not in output


def test_packages_that_are_missing_are_named_with_their_extra(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "find_spec", lambda name: None)
    code, output = served("registry")
    assert (code, "pip install 'convfleet[serve]'" in output) == (2, True)
    assert "serve needs fastapi and uvicorn and prometheus_client, which are not installed" in output


def test_a_port_that_is_taken_is_refused_before_anything_starts(served: Serve) -> None:
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = served("registry", "--port", str(port))
    assert code == 2
    assert f"--host 127.0.0.1 --port {port}: cannot listen there (Address already in use)" in output


def test_a_server_knows_no_token_but_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    path.chmod(0o600)
    token = token_of(path)
    assert token == TOKEN
    settings = ServingSettings(registry="registry", token_sha256=sha256_of(token))
    assert TOKEN not in repr(settings)
    assert is_token(TOKEN.encode(), token_sha256=settings.token_sha256 or "")
    assert not is_token(TOKEN[:-1].encode(), token_sha256=settings.token_sha256 or "")
    assert new_token() != new_token()
