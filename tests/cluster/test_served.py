"""`convfleet serve --address` on hosts: the head listens, nodes answer, and a node that is killed costs no answer."""

import json
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import SHARED, Hosts, wait_until
from made_exports import REAL_RUN

from orchestrator.registry.registry import Registry

pytest.importorskip("fastapi")

#: A Ray on three hosts of this machine, and a server on it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PORT, TOLERANCE = 8000, 1e-5
SERVE = f"convfleet serve {SHARED}/registry --address auto"
ENDS = f"serving {SHARED}/registry at http://127.0.0.1:{PORT}/v2 of the cluster's head, Ctrl-C ends it"
#: Four clients ask until a file appears, on one connection after the other, and tell each answer.
ASK = f"""
import http.client, json, pathlib, threading, time
images = json.load(open("{SHARED}/images.json"))
body = json.dumps({{"inputs": [{{"name": "image", "datatype": "UINT8", "shape": [2, 8, 8, 1], "data": images}}]}})
def ask():
    while not pathlib.Path("{SHARED}/enough").exists():
        connection = http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=60)
        try:
            connection.request("POST", "/v2/models/digits/infer", body)
            answer = connection.getresponse()
            told = [answer.status, answer.read().decode()]
        except OSError as exc:
            told = [0, str(exc)]
            time.sleep(0.05)
        print(json.dumps(told) + "\\n", end="", flush=True)
for _ in range(4):
    threading.Thread(target=ask).start()
"""


#: An application of somebody else, which stays when its program ends.
OTHER = """
import ray
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0})
class Other:
    def __call__(self, request):
        return "others"

ray.init("auto")
serve.run(Other.bind(), name="other", route_prefix="/other")
"""
KILL = "pkill -{} -f '[c]onvfleet serve'"


class Server:
    """A server on a host, and what its command has printed.

    Args:
        hosts: The hosts.
        options: More of the command line.
        name: Of the host.
    """

    def __init__(self, hosts: Hosts, options: str = "", *, name: str = "head") -> None:
        self.lines: list[str] = []
        self.process = hosts.popen(name, f"exec {SERVE} {options}")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.strip() for line in iter(self.process.stdout.readline, ""))

    def wait_for(self, line: str, *, seconds: float = 120) -> None:
        wait_until(
            lambda: line in self.lines or self.process.poll() is not None, seconds=seconds, what=f"{line}: {self.lines}"
        )
        assert line in self.lines, self.lines

    def end(self) -> int:
        code = self.process.wait(120)
        self._thread.join()
        return code


@pytest.fixture(scope="module")
def hosts(make_hosts: Any) -> Hosts:
    """A cluster of a head and two nodes of one CPU, which share a registry of two models."""
    found: Hosts = make_hosts("head", "node1", "node2")
    found.ray_head()
    found.ray_worker("node1", "node2")
    registry = Registry(found.shared / "registry")
    registry.add(REAL_RUN, name="digits", alias="production")
    registry.add(REAL_RUN, name="digits", rank=2)
    return found


def test_a_node_that_is_killed_costs_no_answer(hosts: Hosts) -> None:
    registry = Registry(hosts.shared / "registry")
    images = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    expected = {str(number): registry.load("digits", version=number).predict(images) for number in (1, 2)}
    (hosts.shared / "images.json").write_text(json.dumps(images.ravel().tolist()))
    (hosts.shared / "ask.py").write_text(ASK)
    server = Server(hosts, "--replicas 2")
    server.wait_for(ENDS)
    assert replicas_by_host(hosts) == {"node1": 1, "node2": 1}
    assert f"127.0.0.1:{PORT}" in listening(hosts, "head", "ProxyActor")
    # Each process of Ray's listens for Ray's own calls, which want the cluster's token.
    assert len(listening(hosts, "head", "ProxyActor")) <= 2
    assert max(len(listening(hosts, name, "ServeReplica")) for name in ("node1", "node2")) <= 1
    client = hosts.popen("head", f"python {SHARED}/ask.py > {SHARED}/told.txt")
    told = hosts.shared / "told.txt"
    wait_until(lambda: told.exists() and told.stat().st_size > 0, seconds=30, what="a first answer")
    hosts.down("node2")
    server.wait_for("1 of 2 replicas answer; Ray Serve starts others where there is room", seconds=180)
    registry.promote("digits", 2)
    hosts.up("node2")
    hosts.ray_worker("node2")
    server.wait_for("2 of 2 replicas answer")
    assert replicas_by_host(hosts) == {"node1": 1, "node2": 1}
    (hosts.shared / "enough").touch()
    assert client.wait(120) == 0
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    statuses = Counter(status for status, _ in lines)
    # What the node had in hand cannot be answered.
    assert set(statuses) <= {200, 500}
    assert statuses[200] > 100
    assert statuses[500] <= 4
    answers = [json.loads(answer) for status, answer in lines if status == 200]
    assert {answer["model_version"] for answer in answers} == {"1", "2"}
    for answer in answers:
        found = np.reshape(answer["outputs"][0]["data"], (2, -1))
        assert np.abs(found - expected[answer["model_version"]]).max() < TOLERANCE
    hosts.run("head", KILL.format("INT"))
    assert server.end() == 0


@pytest.mark.long
def test_a_server_stays_where_its_command_is_killed_and_the_next_one_takes_its_place(hosts: Hosts) -> None:
    Server(hosts).wait_for(ENDS)
    assert "another `convfleet serve` answers on this cluster" in hosts.run("head", SERVE, code=2)
    hosts.run("head", KILL.format("9"))
    assert ready(hosts)
    token = "--host 0.0.0.0 --token-file token"
    (hosts.hosts["head"].folder / "home/token").write_text("0123456789abcdef0123456789abcdef")
    (hosts.hosts["head"].folder / "home/token").chmod(0o600)
    following = Server(hosts, token)
    following.wait_for(ENDS.replace("127.0.0.1", "0.0.0.0"))
    assert "ending the server that is there already" in following.lines
    url = f"http://{hosts.hosts['head'].ip}:{PORT}/v2/models/digits/ready"
    assert "the token is missing or wrong" in hosts.run("node1", f"curl -s -H 'Host: localhost' {url}")
    assert '"ready":true' in hosts.run(
        "node1", f"curl -s -H 'Authorization: Bearer 0123456789abcdef0123456789abcdef' {url}"
    )
    hosts.run("head", KILL.format("INT"))
    assert following.end() == 0
    assert hosts.run("head", f"curl -s {url}", code=7) == ""
    assert replicas_by_host(hosts) == {}
    assert list((hosts.shared / "registry/.servers").glob("*")) == []


@pytest.mark.long
def test_what_others_run_on_the_cluster_is_left_alone_and_what_they_end_is_told(hosts: Hosts) -> None:
    (hosts.shared / "other.py").write_text(OTHER)
    server = Server(hosts)
    server.wait_for(ENDS)
    hosts.run("head", f"python {SHARED}/other.py")
    # The other's application has come to the same Ray Serve, and stays.
    hosts.run("head", KILL.format("INT"))
    assert server.end() == 0
    assert hosts.run("head", f"curl -s http://127.0.0.1:{PORT}/other") == "others"
    assert "Ray Serve runs other on this cluster" in hosts.run("head", SERVE, code=2)
    assert hosts.run("head", f"curl -s http://127.0.0.1:{PORT}/other") == "others"
    hosts.run("head", "serve shutdown --yes")
    server = Server(hosts)
    server.wait_for(ENDS)
    hosts.run("head", "serve shutdown --yes")
    assert server.end() == 1
    assert any("the server was ended by another command on the cluster" in line for line in server.lines)


def replicas_by_host(hosts: Hosts) -> dict[str, int]:
    """Returns how many replicas each host has."""
    found = {name: len(hosts.pids(name, "ServeReplica")) for name, host in hosts.hosts.items() if host.pid}
    return {name: count for name, count in found.items() if count}


def ready(hosts: Hosts) -> bool:
    """Returns whether the model can answer."""
    url = f"http://127.0.0.1:{PORT}/v2/models/digits/ready"
    return '"ready":true' in hosts.run("head", f"curl -s {url}", code=None)


def listening(hosts: Hosts, name: str, process: str) -> list[str]:
    """Returns the addresses and ports that a host's processes of a name listen on."""
    (pid, *_) = hosts.pids(name, process)
    inodes = {
        str(path.readlink())[8:-1]
        for path in Path(f"/proc/{pid}/fd").iterdir()
        if str(path.readlink()).startswith("socket:[")
    }
    found = []
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            raw = bytes.fromhex(fields[1].partition(":")[0])
            port = int(fields[1].partition(":")[2], 16)
            found.append(f"{'.'.join(map(str, raw[::-1]))}:{port}")
    return found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--replicas 3", "--replicas 3: the cluster at auto has room for 2 with 1 CPUs each; 2 of 2 CPUs are free"),
        ("--cpus 2", "--replicas 1: the cluster at auto has room for 0 with 2 CPUs each; 2 of 2 CPUs are free"),
        ("--port 6379", "Ray Serve did not start on auto"),
    ],
)
def test_what_a_cluster_cannot_serve_is_refused_in_words(hosts: Hosts, options: str, said: str) -> None:
    printed = hosts.run("head", f"{SERVE} {options}", code=None)
    assert said in printed
    assert "Traceback" not in printed


@pytest.mark.long
def test_a_command_whose_head_is_lost_says_so_and_ends(hosts: Hosts) -> None:
    server = Server(hosts, name="node1")
    server.wait_for(ENDS)
    hosts.down("head")
    assert server.end() == 1
    (said,) = (line for line in server.lines if "has not answered for" in line)
    assert said.endswith("the server is gone with it: start it again once there is a cluster")
    assert "Traceback" not in "".join(server.lines)


def test_a_node_without_the_registry_is_named(make_hosts: Any) -> None:
    apart: Hosts = make_hosts("head", "node1", is_shared=False)
    apart.ray_head()
    apart.ray_worker("node1")
    Registry(apart.files_of("head") / "registry").add(REAL_RUN, name="digits", alias="production")
    printed = apart.run("head", SERVE, code=2)
    assert "node node1 (10.77.0.12): " in printed
    assert "no such registry" in printed
    # A copy is another registry: nobody would take up its promotions.
    subprocess.run(["cp", "-a", apart.files_of("head") / "registry", apart.files_of("node1")], check=True)
    printed = apart.run("head", SERVE, code=2)
    assert "is another registry there than here; on a cluster, a registry lies in a folder" in printed
