"""Several machines made of this one, to run a Ray cluster on: namespaces with a network of their own.

Each host has its own address, name, processes, /tmp, /dev/shm, home folder and boot id, so that software which compares
process numbers or boot ids takes them for different machines. They reach one another and nothing else. Needs root,
iproute2 and util-linux.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from full_disks import Disk

ROOT = Path(__file__).parents[2]
HOME = "/home/fleet"
SHARED = "/mnt/shared"
#: Bytes of each node's object store, which carries next to nothing.
STORE_BYTES = 100_000_000
_PROGRAMS = ("ip", "unshare", "nsenter", "mount", "setsid")
#: A cluster's first numbers; its hosts are .11, .12, ...
_NET = "10.77.0"
_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN_PATH": f"{HOME}/.ray/auth_token",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Of a machine on which other tests run as well.
    "RAY_raylet_start_wait_time_s": "120",
}
_LIVE = (
    "import json, ray; ray.init(address='auto', log_to_driver=False, configure_logging=False); "
    "print(json.dumps({node['NodeManagerHostname']: node['NodeID'] for node in ray.nodes() if node['Alive']}))"
)
#: Process 1 of a host: makes what only it sees, then buries what others leave behind.
_INIT = """
set -e
hostname {name}
mount --bind {folder}/boot_id /proc/sys/kernel/random/boot_id
mount --bind {hosts} /etc/hosts
mount --bind {folder}/passwd /etc/passwd
mount -t tmpfs -o size=4g,mode=1777 tmpfs /dev/shm
mount -t tmpfs -o size=1m tmpfs /mnt
mkdir -p {shared}
mount --bind {files} {shared}
mount -t tmpfs -o size=1m tmpfs /home
mkdir -p {home}
mount --bind {folder}/home {home}
for path in {seen}; do
  case $path in
    /tmp/*) under={folder}/tmp/${{path#/tmp/}}; mkdir -p "$under"; mount --bind -o ro "$path" "$under" ;;
  esac
done
touch {folder}/ready
mount --rbind {folder}/tmp /tmp
while :; do sleep 3600 & wait $!; done
"""


def missing() -> str:
    """Returns why this machine cannot make hosts; an empty text if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are made of Linux namespaces, which needs root"
    if lacking := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"hosts need {', '.join(lacking)}, from iproute2 and util-linux"
    name = f"cf{os.getpid()}t"
    bridge = ["ip", "-n", name, "link", "add", "br0", "type", "bridge"]
    pair = ["ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    mounts = "mount -t tmpfs tmpfs /mnt && mount --bind /etc/hosts /proc/sys/kernel/random/boot_id"
    inside = ["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", mounts]
    try:
        for command in (["ip", "netns", "add", name], bridge, pair, inside):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"hosts cannot be made here: {' '.join(command[:8])}: {done.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


@dataclass
class Host:
    """One of the machines.

    Attributes:
        name: Its name on the network.
        ip: Its address.
        folder: Where its own files lie: home, tmp.
        pid: Its process 1, as this machine counts.
        cores: This machine's cores that its commands run on, as `taskset` takes them; empty: all.
    """

    name: str
    ip: str
    folder: Path
    pid: int = 0
    cores: str = ""


@dataclass
class Hosts:
    """Machines on a network of their own.

    Attributes:
        folder: Where their files lie.
        is_shared: Whether they find one folder at /mnt/shared; else each finds its own.
        shared_mb: What that folder has room for, on a disk of its own; None: as much as this machine's disk.
        environment: More variables for every command.
    """

    folder: Path
    is_shared: bool = True
    shared_mb: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.shared = self.folder / "shared"
        self.shared.mkdir(parents=True, exist_ok=True)
        self.disk = Disk(self.shared, size_mb=self.shared_mb) if self.shared_mb else None
        self._name = f"c{uuid.uuid4().hex[:6]}"
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        _call("ip", "netns", "add", f"{self._name}-lan")
        self._lan("link", "add", "br0", "type", "bridge")
        self._lan("link", "set", "br0", "up")
        self._lan("link", "set", "lo", "up")

    def up(self, *names: str) -> None:
        """Starts hosts, also ones that were taken down: their files are as they were."""
        for name in names:
            host = self.hosts.get(name) or self._new(name)
            self._wire(host)
            self._boot(host)

    def files_of(self, name: str) -> Path:
        """Returns the folder that a host finds at /mnt/shared, as this machine sees it."""
        return self.shared if self.is_shared else self.hosts[name].folder / "alone"

    def popen(self, name: str, command: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a shell command on a host, as after a login.

        Args:
            name: The host.
            command: For bash.
            **options: Of Popen; `cwd` is a folder of the host, its home if none is given.
        """
        host, cwd = self.hosts[name], options.pop("cwd", HOME)
        more = {**self.environment, **options.pop("environment", {})}
        environment = {
            "HOME": HOME,
            "USER": "root",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(ROOT),
            **_SETTINGS,
            **more,
        }
        enter = ["nsenter", "-t", str(host.pid), "-m", "-n", "-u", "-i", "-p", "--"]
        enter += ["taskset", "-c", host.cores] if host.cores else []
        pairs = [f"{key}={value}" for key, value in environment.items() if value != ""]
        return subprocess.Popen(
            [*enter, "env", "-i", *pairs, "bash", "-c", f"cd {shlex.quote(str(cwd))} && {command}"],
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, **options},
        )

    def run(self, name: str, command: str, *, code: int | None = 0, timeout: float = 300, **options: Any) -> str:
        """Runs a shell command on a host and returns its output, errors among it.

        Args:
            name: The host.
            command: For bash.
            code: The exit code that it must have; None: any.
            timeout: Seconds.
            **options: As for `popen`.
        """
        process = self.popen(name, command, **options)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            pytest.fail(f"{name}: {command}: no end within {timeout} s; it said:\n{output}")
        assert code is None or process.returncode == code, f"{name}: {command}: {process.returncode}\n{output}"
        return output

    def ray_head(self, name: str = "head", *, cpus: int = 0, more: str = "") -> None:
        """Starts a cluster on a host, as cluster.yaml does: a token for all, a head without CPUs."""
        # Ray makes no token at a path that it was given.
        token = "env -u RAY_AUTH_TOKEN_PATH ray get-auth-token --generate >/dev/null; chmod 600 ~/.ray/auth_token"
        self.run(name, token)
        start = f"ray start --head --port=6379 --num-cpus={cpus} --num-gpus=0 --dashboard-host=127.0.0.1"
        self.run(name, f"{start} --object-store-memory={STORE_BYTES} {more}")
        self._head = name

    def ray_worker(self, *names: str, cpus: int = 1, more: str = "") -> None:
        """Lets hosts join the cluster, also ones whose Ray was there before."""
        started = []
        for name in names:
            home = self.hosts[name].folder / "home/.ray"
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.hosts[self._head].folder / "home/.ray/auth_token", home / "auth_token")
            start = f"ray start --address={self.hosts[self._head].ip}:6379 --num-cpus={cpus}"
            started.append(self.popen(name, f"ray stop >/dev/null; {start} --object-store-memory={STORE_BYTES} {more}"))
        for process in started:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output

    def live_nodes(self) -> dict[str, str]:
        """Returns Ray's ids of the cluster's live nodes by their hosts' names, as the head knows them."""
        told = self.run(self._head, f'python -c "{_LIVE}" 2>/dev/null')
        found: dict[str, str] = json.loads(told.strip().splitlines()[-1])
        return found

    def drain(self, name: str, *, seconds: int) -> None:
        """Tells Ray that a host will be taken in so many seconds, as clouds do of spot machines."""
        node = self.live_nodes()[name]
        reason = "--reason DRAIN_NODE_REASON_PREEMPTION --reason-message spot"
        self.run(self._head, f"ray drain-node --node-id {node} {reason} --deadline-remaining-seconds {seconds}")

    def cut(self, name: str) -> None:
        """Takes a host off the network."""
        self._lan("link", "set", self._link(name), "down")

    def mend(self, name: str) -> None:
        """Puts a host back on the network."""
        self._lan("link", "set", self._link(name), "up")

    def freeze(self, name: str) -> None:
        """Stops all processes of a host, as of a machine that is paused."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Lets them go on."""
        self._signal(name, signal.SIGCONT)

    def pids(self, name: str, text: str = "") -> list[int]:
        """Returns the processes of a host whose command line holds a text, as this machine counts."""
        own = Path(f"/proc/{self.hosts[name].pid}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and (entry / "ns/pid").readlink() == own:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if text in command:
                        found.append(int(entry.name))
        return found

    def down(self, *names: str) -> None:
        """Takes hosts off at once, as if they had lost their power; without names all, and their network."""
        for name in names or list(self.hosts):
            host = self.hosts[name]
            if host.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(host.pid, signal.SIGKILL)
                _wait_for(lambda pid=host.pid: not Path(f"/proc/{pid}").exists(), seconds=10)
                host.pid = 0
            subprocess.run(["ip", "netns", "del", f"{self._name}-{name}"], capture_output=True, check=False)
        if not names:
            subprocess.run(["ip", "netns", "del", f"{self._name}-lan"], capture_output=True, check=False)
            if self.disk is not None:
                self.disk.close()

    def _new(self, name: str) -> Host:
        host = Host(name=name, ip=f"{_NET}.{11 + len(self.hosts)}", folder=self.folder / name)
        for part in ("home", "tmp", "alone"):
            (host.folder / part).mkdir(parents=True)
        (host.folder / "tmp").chmod(0o1777)
        (host.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        lines = Path("/etc/passwd").read_text().splitlines()
        own = [":".join([*line.split(":")[:5], HOME, line.split(":")[6]]) for line in lines if line[:5] == "root:"]
        (host.folder / "passwd").write_text("\n".join([*own, *lines]) + "\n")
        with (self.folder / "hosts").open("a") as file:
            file.write(f"{host.ip} {name}\n")
        self.hosts[name] = host
        return host

    def _link(self, name: str) -> str:
        return f"{self._name}{list(self.hosts).index(name)}"

    def _wire(self, host: Host) -> None:
        space = f"{self._name}-{host.name}"
        _call("ip", "netns", "add", space)
        link = self._link(host.name)
        _call(
            *("ip", "link", "add", link, "netns", f"{self._name}-lan", "type", "veth"),
            *("peer", "name", "eth0", "netns", space),
        )
        self._lan("link", "set", link, "master", "br0", "up")
        _call("ip", "-n", space, "addr", "add", f"{host.ip}/24", "dev", "eth0")
        _call("ip", "-n", space, "link", "set", "eth0", "up")
        _call("ip", "-n", space, "link", "set", "lo", "up")

    def _boot(self, host: Host) -> None:
        (host.folder / "ready").unlink(missing_ok=True)
        seen = dict.fromkeys([str(ROOT), sys.prefix, sys.base_prefix])
        script = _INIT.format(
            name=host.name,
            folder=host.folder,
            hosts=self.folder / "hosts",
            shared=SHARED,
            files=self.files_of(host.name),
            home=HOME,
            seen=" ".join(map(shlex.quote, seen)),
        )
        (host.folder / "init.sh").write_text(script)
        spaces = [
            "--uts",
            "--ipc",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "--propagation",
            "private",
        ]
        command = ["ip", "netns", "exec", f"{self._name}-{host.name}", "unshare", *spaces]
        outer = subprocess.Popen(
            [*command, "bash", str(host.folder / "init.sh")],
            stdin=subprocess.DEVNULL,
            stdout=(host.folder / "init.log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        is_up = _wait_for(lambda: (host.folder / "ready").exists() or outer.poll() is not None, seconds=20)
        assert is_up, f"{host.name} does not start"
        assert outer.poll() is None, (host.folder / "init.log").read_text()
        # `unshare` waits outside; its child is the host's process 1.
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        host.pid = int(children[0])

    def _lan(self, *arguments: str) -> None:
        _call("ip", "-n", f"{self._name}-lan", *arguments)

    def _signal(self, name: str, kind: signal.Signals) -> None:
        for pid in self.pids(name):
            if pid != self.hosts[name].pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, kind)


@pytest.fixture(scope="module")
def make_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Returns a function that makes hosts, which are taken down after the module's tests."""
    if reason := missing():
        pytest.skip(reason)
    made: list[Hosts] = []

    def make(
        *names: str,
        is_shared: bool = True,
        shared_mb: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Hosts:
        more = {"is_shared": is_shared, "shared_mb": shared_mb, "environment": dict(environment or {})}
        hosts = Hosts(tmp_path_factory.mktemp("hosts"), **more)
        made.append(hosts)
        hosts.up(*names)
        return hosts

    yield make
    for hosts in made:
        hosts.down()


def wait_until(condition: Any, *, seconds: float, what: str) -> None:
    """Waits until a condition holds; fails the test if it does not within so many seconds."""
    assert _wait_for(condition, seconds=seconds), f"not within {seconds} s: {what}"


def _wait_for(condition: Any, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
