"""`convfleet serve` on Ray Serve answers a public client of the KServe v2 protocol with a real export."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_exports import REAL_RUN
from PIL import Image

from orchestrator.registry.registry import Registry

http = pytest.importorskip("tritonclient.http")
pytest.importorskip("fastapi")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 300
TOKEN = "0123456789abcdef0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server of the two real models of a kept run, of which the first is in production, and its process."""
    with server_in(tmp_path_factory.mktemp("served")) as server:
        yield server


@contextmanager
def server_in(folder: Path) -> Iterator[SimpleNamespace]:
    """Yields such a server."""
    registry = Registry(folder / "registry")
    registry.add(REAL_RUN, name="digits", alias="production")
    registry.add(REAL_RUN, name="digits", rank=2)
    (folder / "token").write_text(TOKEN, encoding="ascii")
    (folder / "token").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--memory", "50MB", "--token-file", "token"]
    with subprocess.Popen(
        [sys.executable, "-m", "convfleet", "serve", "registry", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": "/tmp"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready == f"serving registry at http://127.0.0.1:{port}/v2, Ctrl-C ends it\n"
            client = http.InferenceServerClient(
                f"127.0.0.1:{port}", connection_timeout=SECONDS, network_timeout=SECONDS
            )
            url = f"http://127.0.0.1:{port}/v2/models/digits"
            yield SimpleNamespace(registry=registry, process=process, client=client, url=url)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def asked(client: Any, images: np.ndarray, *, is_binary: bool, version: str = "") -> tuple[str, np.ndarray]:
    """Returns the version that answered and what it answered."""
    given = http.InferInput("image", list(images.shape), "UINT8")
    given.set_data_from_numpy(images, binary_data=is_binary)
    wanted = [http.InferRequestedOutput("output_0", binary_data=is_binary)]
    # The client adds to the headers that it is given.
    answer = client.infer("digits", [given], model_version=version, outputs=wanted, headers=dict(HEADERS))
    return answer.get_response()["model_version"], answer.as_numpy("output_0")


def test_a_public_client_gets_what_the_model_predicts_before_and_after_a_promotion(served: SimpleNamespace) -> None:
    client, registry = served.client, served.registry
    images = np.random.default_rng(4).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    expected = {str(number): registry.load("digits", version=number).predict(images) for number in (1, 2)}
    assert client.is_server_live()
    assert client.is_model_ready("digits", headers=HEADERS)
    assert client.get_model_metadata("digits", headers=HEADERS)["versions"] == ["1", "2"]
    with pytest.raises(Exception, match="the token is missing or wrong"):
        client.get_model_metadata("digits")
    for which, is_binary in (("", True), ("", False), ("2", True)):
        version, found = asked(client, images, is_binary=is_binary, version=which)
        assert version == (which or "1")
        assert np.abs(found - expected[version]).max() < 1e-6
    assert picture(served.url, images[0]) == ("1", int(expected["1"][0].argmax()))
    registry.promote("digits", 2)
    version = "1"
    while version != "2":
        version, found = asked(client, images, is_binary=True)
        assert np.abs(found - expected[version]).max() < 1e-6


def picture(url: str, pixels: np.ndarray) -> tuple[str, int]:
    """Returns the version that answered for a PNG, and the class."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(buffer, "PNG")
    request = urllib.request.Request(f"{url}/picture", data=buffer.getvalue(), headers=HEADERS)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        body = json.load(answer)
    return body["model_version"], int(body["targets"]["label"]["class"])


def test_the_server_listens_on_loopback_alone(served: SimpleNamespace) -> None:
    own = {inode for process in family(served.process.pid) for inode in sockets(process)}
    found = [address for address, inode in listening() if inode in own]
    assert len(found) > 3
    assert [str(address) for address in found if not address.is_loopback] == []


def family(root: int) -> list[int]:
    """Returns a process and all that came of it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(path.name))
    found, left = [root], [root]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def sockets(process: int) -> Iterator[str]:
    for path in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):
            target = str(path.readlink())
            if target.startswith("socket:["):
                yield target[8:-1]


def listening() -> Iterator[tuple[Any, str]]:
    """Yields the address and the inode of each socket of this machine that listens."""
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                raw = bytes.fromhex(fields[1].partition(":")[0])
                ordered = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                address = ip_address(ordered)
                yield getattr(address, "ipv4_mapped", None) or address, fields[9]


def test_a_process_that_is_killed_is_there_again(tmp_path: Path) -> None:
    with server_in(tmp_path) as server:
        answer_again(server)
        for name in ("ServeReplica", "ProxyActor"):
            (victim,) = (pid for pid in family(server.process.pid) if name in command_of(pid))
            os.kill(victim, signal.SIGKILL)
            answer_again(server)
            assert victim not in family(server.process.pid)


def answer_again(served: SimpleNamespace) -> None:
    """Asks until there is an answer; what is refused or breaks off until then is none."""
    images, end = np.zeros((1, 8, 8, 1), np.uint8), time.monotonic() + SECONDS
    while True:
        try:
            version, _ = asked(served.client, images, is_binary=True, version="1")
            break
        except Exception:  # noqa: BLE001 - the client's errors are of many kinds
            assert time.monotonic() < end
            time.sleep(0.1)
    assert version == "1"


def command_of(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    return ""


def test_the_server_ends_with_its_processes_when_it_is_asked_to(served: SimpleNamespace) -> None:
    served.client.close()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(SECONDS) == 0
    assert served.process.stdout.read() == ""
