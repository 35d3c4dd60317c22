"""Dashboards as processes: started, asked, and what they take of the machine."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 120
_LINK = re.compile(r"(http://\S+?)/\?token=(\S+)")


@dataclass
class Server:
    """A dashboard that runs.

    Attributes:
        process: It.
        address: Where it listens, without a path.
        query: What its first page is asked with, such as `?token=...`.
        start_seconds: From its command until it listened.
    """

    process: subprocess.Popen[bytes]
    address: str
    query: str = ""
    start_seconds: float = 0.0
    _opener: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    )

    @property
    def link(self) -> str:
        """The first page, which lets a browser in."""
        return f"{self.address}/{self.query}"

    def get(self, path: str) -> tuple[bytes, float]:
        """Returns an answer and the seconds that it took."""
        began = time.perf_counter()
        with self._opener.open(self.address + path, timeout=300) as answer:
            return answer.read(), time.perf_counter() - began

    def cookies(self) -> str:
        """Returns the header that lets another client in."""
        (processor,) = (item for item in self._opener.handlers if isinstance(item, urllib.request.HTTPCookieProcessor))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in processor.cookiejar)

    def memory_mb(self) -> float:
        """Returns the resident memory of its processes together."""
        return sum(item.memory_info().rss for item in self._processes()) / 1e6

    def cpu_seconds(self) -> float:
        """Returns the CPU time of its processes so far."""
        return sum(item.cpu_times().user + item.cpu_times().system for item in self._processes())

    def _processes(self) -> list[psutil.Process]:
        whole = psutil.Process(self.process.pid)
        return [whole, *whole.children(recursive=True)]


@contextlib.contextmanager
def convfleet_dashboard(folder: Path, *, log: Path) -> Iterator[Server]:
    """Yields the dashboard of a folder of runs; its token was taken to it."""
    command = [sys.executable, "-m", "convfleet", "dashboard", str(folder), "--port", "0"]
    began = time.monotonic()
    with _running(command, log=log) as process:
        found = _waited(process, log, lambda: _LINK.search(log.read_text()))
        server = Server(process, found[1], query=f"?token={found[2]}", start_seconds=time.monotonic() - began)
        server.get("/" + server.query)
        # The list of runs finds them.
        server.get("/")
        yield server


@contextlib.contextmanager
def other_dashboard(command: Sequence[str], *, port: int, log: Path) -> Iterator[Server]:
    """Yields a dashboard that asks for nothing and listens at a port of 127.0.0.1."""
    began = time.monotonic()
    with _running(command, log=log) as process:
        server = Server(process, f"http://127.0.0.1:{port}")
        _waited(process, log, lambda: _answers(server))
        server.start_seconds = time.monotonic() - began
        yield server


@contextlib.contextmanager
def _running(command: Sequence[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _waited(process, log, ask):
    end = time.monotonic() + _START_SECONDS
    while not (found := ask()):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args[:6]} did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.05)
    return found


def _answers(server: Server) -> bool:
    try:
        server.get("/")
    except OSError:
        return False
    return True
