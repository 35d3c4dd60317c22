"""A study's wall time with pages open, against the same study with none, in turn."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

from dashboards.servers import ROOT, Server, convfleet_dashboard


def slowed_rows(*, pages: int, rounds: int, trials: int) -> list[tuple[str, str]]:
    """Returns the wall times, their ratio, and what the pages got."""
    times: dict[int, list[float]] = {pages: [], 0: []}
    told = []
    with tempfile.TemporaryDirectory(prefix="slowed-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "runs").mkdir()
        # One that is not counted fills the caches.
        with _ended(_started(folder, "warm", trials=2)) as study:
            _succeed(study, folder / "warm.log")
        with convfleet_dashboard(folder / "runs", log=folder / "server.log") as server:
            for number in range(rounds):
                # Who comes first changes, as a machine may grow slower.
                for count in (pages, 0) if number % 2 else (0, pages):
                    seconds, counts = _watched(folder, server, f"r{number}-{count}", pages=count, trials=trials)
                    times[count].append(seconds)
                    print(f"round {number + 1}, {count} pages: {seconds:.1f} s", flush=True)
                    if count:
                        told.append({**counts, "memory": server.memory_mb()})
    ratios = [with_pages / without for with_pages, without in zip(times[pages], times[0], strict=True)]
    return [
        ("quickstart without a page, s", _list(times[0])),
        (f"quickstart with {pages} pages of it open, s", _list(times[pages])),
        ("ratio of each round, and of the medians",
         f"{_list(ratios, digits=3)}; {statistics.median(times[pages]) / statistics.median(times[0]):.3f}"),
        ("pages still open at the end", ", ".join(str(item["open"]) for item in told)),
        ("messages a page; MB of all pages",
         f"{statistics.mean(item['messages'] for item in told) / pages:.0f}; "
         f"{statistics.mean(item['bytes'] for item in told) / 1e6:.1f}"),
        ("CPU seconds of the server while the pages open", _list([item["opening"] for item in told], digits=2)),
        ("CPU seconds of the server from then to the study's end",
         _list([item["watching"] for item in told], digits=2)),
        ("in so many seconds", _list([item["seconds"] for item in told])),
        ("CPU seconds of the pages' sockets", _list([item["cpu_seconds"] for item in told], digits=2)),
        ("memory of the server, MB", f"{max(item['memory'] for item in told):.0f}"),
    ]  # fmt: skip


def _watched(folder: Path, server: Server, name: str, *, pages: int, trials: int) -> tuple[float, dict[str, float]]:
    """Returns the study's wall time, and what its pages got."""
    began = time.monotonic()
    with _ended(_started(folder, name, trials=trials)) as study:
        if not pages:
            _succeed(study, folder / f"{name}.log")
            return time.monotonic() - began, {}
        path = _path_of(folder, server, name, study)
        command = [sys.executable, "-m", "dashboards.open_pages", server.address, server.cookies(), path, str(pages)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
        before = server.cpu_seconds()
        with _ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)) as sockets:
            if sockets.stdout.readline() != "open\n":
                raise RuntimeError("the pages did not open")
            opened, opened_at = server.cpu_seconds(), time.monotonic()
            _succeed(study, folder / f"{name}.log")
            ended = time.monotonic()
            facts = {"opening": opened - before, "watching": server.cpu_seconds() - opened}
            sockets.send_signal(signal.SIGTERM)
            told = json.loads(sockets.communicate(timeout=60)[0])
            return ended - began, {**told, **facts, "seconds": ended - opened_at}


@contextlib.contextmanager
def _ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Yields a process that does not outlive what it was started for."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _succeed(study: subprocess.Popen, log: Path) -> None:
    if study.wait() != 0:
        raise RuntimeError(f"the study failed: {log.read_text()[-2000:]}")


def _path_of(folder: Path, server: Server, name: str, study: subprocess.Popen[bytes]) -> str:
    """Returns the page of a study once its journal is there."""
    while study.poll() is None:
        if (folder / "runs" / name / "journal.jsonl").exists():
            server.get(f"/run/{name}")
            # Before the journal's first record there is nothing to see.
            with contextlib.suppress(urllib.error.HTTPError):
                server.get(f"/data/run/{name}/study.yaml")
                return f"/run/{name}"
        time.sleep(0.1)
    raise RuntimeError(f"the study ended before its page was there: {(folder / f'{name}.log').read_text()[-2000:]}")


def _started(folder: Path, name: str, *, trials: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "convfleet", "run", "quickstart", "--set", f"search.trials={trials}",
               "--set", f"name={name}", "--runs", str(folder / "runs")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVFLEET_CACHE": str(folder / "cache")}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def _list(values: list[float], *, digits: int = 1) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)
