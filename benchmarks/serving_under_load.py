"""`convfleet serve` under load, with promotions and kills: `python benchmarks/serving_under_load.py RUN`.

Several clients ask at once for ten minutes, in all the ways that the server knows: tensors in JSON and in binary,
pictures, a version by its number, and requests that are wrong. Meanwhile production changes between two models, and
processes of the server are killed: replicas, the proxy, the controller. Each answer is compared with what the version
that it names predicts in this process. A failed request is told by its status; `no answer` is a connection that broke.
"""

import argparse
import collections
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PORT, READY_SECONDS, TOLERANCE = 8766, 300, 1e-4
KINDS = ("json", "binary", "picture", "by number", "wrong")
#: What is killed, by what its command line has, in turn.
VICTIMS = ("ServeReplica", "ServeReplica", "ProxyActor", "ServeReplica", "ServeController")


@dataclass
class Seen:
    """What all clients saw.

    Attributes:
        seconds: Of the answers with status 200, by kind.
        statuses: How often each came, by kind; "no answer" among them.
        wrong: Sentences of answers that were not right.
        answered_at: When an answer with status 200 came.
        killed: What was killed, and when.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    statuses: collections.Counter = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    killed: list[tuple[str, float]] = field(default_factory=list)

    def gaps(self, *, within: float) -> list[tuple[str, float]]:
        """Returns the longest time without an answer of 200 after each kill.

        Args:
            within: So many seconds after it.
        """
        times, found = np.array(sorted(self.answered_at)), []
        for word, at in self.killed:
            near = times[(times > at - 1) & (times < at + within)]
            found.append((word, float(np.diff(near).max()) if len(near) > 1 else float("inf")))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="A finished run of source digits with two trials or more.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=60.0, help="Seconds.")
    parser.add_argument("--promote-every", type=float, default=10.0, help="Seconds.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        folder = Path(name)
        registry = registry_of(options.run, folder)
        images = np.random.default_rng(options.seed).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
        expected = {str(number): registry.load("digits", version=number).predict(images) for number in (1, 2)}
        with served(folder, replicas=options.replicas) as process:
            wait_until_ready()
            before = held(process.pid)
            given = {"registry": registry, "images": images, "expected": expected}
            seen = Load(options, **given, server=process.pid).run()
            after = held(process.pid)
    show(seen, before=before, after=after, options=options)
    raise SystemExit(1 if seen.wrong else 0)


def registry_of(run: Path, folder: Path) -> Any:
    """Returns a registry of a run's two best models, the first in production."""
    from orchestrator.registry.registry import Registry

    shutil.copytree(run, folder / "run")
    formats = ["--format", "keras", "--format", "onnx"]
    command = [sys.executable, "-m", "convfleet", "export", "run", "--top", "2", *formats]
    subprocess.run(command, cwd=folder, env=environment(), check=True)
    registry = Registry(folder / "registry")
    for rank in (1, 2):
        registry.add(folder / "run", name="digits", rank=rank, alias="production" if rank == 1 else None)
    return registry


def environment() -> dict[str, str]:
    """Returns what the server and other commands get."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextmanager
def served(folder: Path, *, replicas: int) -> Iterator[subprocess.Popen]:
    """Serves the registry meanwhile."""
    command = [sys.executable, "-m", "convfleet", "serve", "registry", "--port", str(PORT), "--replicas", str(replicas)]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready() -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
            connection.request("GET", "/v2/models/digits/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the server does not answer")


class Load:
    """The clients, and what happens to the server meanwhile.

    Args:
        options: Of the command line.
        registry: What is served.
        expected: What each version predicts for the images.
        images: What clients ask about.
        server: The pid.
    """

    def __init__(self, options, *, registry, expected, images, server) -> None:
        self._options, self._registry, self._server = options, registry, server
        self._expected, self._images = expected, images
        self._lock, self._end = threading.Lock(), time.monotonic() + 60 * options.minutes
        self.seen = Seen()

    def run(self) -> Seen:
        """Returns what the clients saw."""
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self._options.clients)]
        threads += [threading.Thread(target=work) for work in (self._promote, self._kill)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.seen

    def _ask(self, number: int) -> None:
        draws = random.Random(self._options.seed * 1000 + number)
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        while time.monotonic() < self._end:
            kind = draws.choice(KINDS)
            chosen = [
                draws.randrange(len(self._images)) for _ in range(1 if kind == "picture" else draws.randint(1, 3))
            ]
            began = time.perf_counter()
            status, content, length = answer_of(connection, request_of(kind, self._images[chosen], draws))
            took = time.perf_counter() - began
            problem = judged(kind, status, content, length, wanted={k: v[chosen] for k, v in self._expected.items()})
            with self._lock:
                self.seen.statuses[kind, status] += 1
                if status == 200:
                    self.seen.seconds[kind].append(took)
                    self.seen.answered_at.append(time.monotonic())
                if problem:
                    self.seen.wrong.append(problem)

    def _promote(self) -> None:
        number = 1
        while time.monotonic() < self._end:
            time.sleep(self._options.promote_every)
            number = 3 - number
            self._registry.promote("digits", number)

    def _kill(self) -> None:
        draws = random.Random(self._options.seed)
        for word in itertools.cycle(VICTIMS):
            time.sleep(min(self._options.kill_every, max(0.0, self._end - time.monotonic())))
            if time.monotonic() + self._options.kill_every / 2 > self._end:
                return
            pids = [pid for pid, line in family(self._server).items() if word in line]
            if pids:
                os.kill(draws.choice(pids), signal.SIGKILL)
            self.seen.killed.append((word if pids else f"{word}, but there was none", time.monotonic()))


def answer_of(connection: http.client.HTTPConnection, request: tuple) -> tuple[Any, bytes, str | None]:
    """Returns the status, the body, and how many bytes of it are JSON where tensors follow."""
    try:
        connection.request("POST", *request)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Inference-Header-Content-Length")
    except (OSError, http.client.HTTPException):
        connection.close()
        time.sleep(0.05)
        return "no answer", b"", None


def request_of(kind: str, images: np.ndarray, draws: random.Random) -> tuple[str, bytes, dict[str, str]]:
    """Returns the path, the body and the headers of a request."""
    path = "/v2/models/digits/versions/2/infer" if kind == "by number" else "/v2/models/digits/infer"
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(images.shape)}
    as_json = {"inputs": [{**tensor, "data": images.ravel().tolist()}]}
    if kind == "picture":
        return "/v2/models/digits/picture", png(images[0]), {}
    if kind == "binary":
        header = {"inputs": [{**tensor, "parameters": {"binary_data_size": images.size}}]}
        words = json.dumps({**header, "parameters": {"binary_data_output": True}}).encode()
        return path, words + images.tobytes(), {"Inference-Header-Content-Length": str(len(words))}
    if kind == "wrong":
        wrong = [
            (path, json.dumps(as_json).encode()[:-7], {}),
            (path, json.dumps({"inputs": [{**as_json["inputs"][0], "shape": [1, 9, 8, 1]}]}).encode(), {}),
            ("/v2/models/digits/picture", png(images[0])[:40], {}),
        ]
        return draws.choice(wrong)
    return path, json.dumps(as_json).encode(), {}


def png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(image[..., 0]).save(buffer, "PNG")
    return buffer.getvalue()


def judged(kind: str, status: Any, content: bytes, length: str | None, *, wanted: dict[str, np.ndarray]) -> str:
    """Returns what is wrong with an answer; empty if nothing is.

    Args:
        kind: Of the request.
        status: Of the answer.
        content: Its body.
        length: How many bytes of it are JSON where tensors follow.
        wanted: What each version predicts.
    """
    if kind == "wrong":
        return f"a wrong request was answered: {content[:200]!r}" if status == 200 else ""
    if status == 400:
        return f"{kind}: refused as wrong: {content[:200]!r}"
    if status != 200:
        return ""
    told = json.loads(content[: int(length)] if length else content)
    version = told["model_version"]
    if kind == "by number" and version != "2":
        return f"version 2 was asked for, {version} answered"
    right = wanted[version]
    if kind == "picture":
        return "" if told["targets"]["label"]["class"] == str(int(right.argmax())) else f"version {version}: {told}"
    if length:
        found = np.frombuffer(content[int(length) :], np.float32).reshape(right.shape)
    else:
        found = np.reshape(told["outputs"][0]["data"], right.shape)
    worst = float(np.abs(found - right).max())
    return f"{kind}, version {version}: off by {worst}" if worst > TOLERANCE else ""


def family(root: int) -> dict[int, str]:
    """Returns the command lines of all that came of a process, by pid."""
    parents, lines = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    found, size = {root}, 0
    while len(found) > size:
        size = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return {pid: lines[pid] for pid in found if pid in lines}


def held(server: int) -> list[int]:
    """Returns the megabytes that each replica holds."""
    pids = [pid for pid, line in family(server).items() if "ServeReplica" in line]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sorted(round(count * os.sysconf("SC_PAGE_SIZE") / 1e6) for count in pages)


def show(seen: Seen, *, before: list[int], after: list[int], options: argparse.Namespace) -> None:
    """Prints the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    table = Table("request", "answered", "a second", "median ms", "p99 ms", "longest ms", "others, by status")
    for kind in KINDS:
        seconds = seen.seconds[kind]
        others = {status: count for (name, status), count in seen.statuses.items() if name == kind and status != 200}
        times = [f"{1000 * np.percentile(seconds, share):.1f}" for share in (50, 99, 100)] if seconds else ["-"] * 3
        told = ", ".join(f"{status}: {count}" for status, count in sorted(others.items(), key=str))
        table.add_row(kind, str(len(seconds)), f"{len(seconds) / options.minutes / 60:.1f}", *times, told)
    console.print(table)
    for word, gap in seen.gaps(within=options.kill_every / 2):
        console.print(f"killed {word}: nobody was answered for {gap:.2f} s")
    console.print(f"replicas, MB: {before} before, {after} after; wrong answers: {len(seen.wrong)} {seen.wrong[:3]}")


if __name__ == "__main__":
    main()
