"""A Ray of our own talks to nobody but this machine, and to nobody there without the token."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

#: Prints the addresses that a session's processes listen on, whether it wants a token, and what a stranger gets.
LISTEN = """
import json, os, socket, subprocess, sys
from pathlib import Path
from orchestrator.cluster.connection import ray_session
from orchestrator.study.sections import Resources

def family(root):
    children, found, left = {}, [root], [root]
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.name))
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found

def sockets(process):
    for path in Path(f"/proc/{process}/fd").glob("*"):
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]

def address(text):
    raw = bytes.fromhex(text)
    ordered = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, ordered)

with ray_session(Resources(cpus=1)):
    import ray
    from ray._raylet import AuthenticationMode, get_authentication_mode

    @ray.remote
    def work():
        return os.getpid()

    ray.get(work.remote())
    own = {inode for process in family(os.getpid()) for inode in sockets(process)}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    listening = [address(line[1].split(":")[0]) for line in lines if line[3] == "0A" and line[9] in own]
    stranger = subprocess.run(
        [sys.executable, "-c", "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)",
         ray.get_runtime_context().gcs_address],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64,
             "RAY_NUM_REDIS_GET_RETRIES": "2"},
        capture_output=True, text=True, check=False,
    )
    has_token_mode = get_authentication_mode() == AuthenticationMode.TOKEN
    told = {"listening": listening, "has_token_mode": has_token_mode, "stranger": stranger.returncode}
    print(json.dumps({**told, "words": stranger.stderr[-2000:]}))
"""


def test_local_ray_listens_on_loopback_only_and_wants_its_token(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    result = subprocess.run(
        [sys.executable, "-c", LISTEN],
        env={**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert len(told["listening"]) >= 4, "the driver, Ray's head, its node and a worker"
    assert {address.removeprefix("::ffff:") for address in told["listening"]} <= {"127.0.0.1", "::1"}
    assert told["has_token_mode"]
    assert told["stranger"] != 0
    assert "auth" in told["words"].lower()
    token = home / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
