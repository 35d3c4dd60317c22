"""`convfleet serve --address` under load, with nodes that die: `python benchmarks/serving_on_hosts.py RUN`.

As serving_under_load.py, on a cluster of hosts that are namespaces of this machine (tests/helpers/hosts.py): a head
that listens, and nodes of one CPU with a replica each. Killed are replicas, the process that listens, and whole nodes,
which lose their power and their network at once and come back half a minute later. Needs root and iproute2.
"""

import argparse
import ctypes
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "helpers"), str(ROOT / "tests" / "faults")]

from hosts import SHARED, Hosts, missing  # noqa: E402
from serving_under_load import PORT, Load, registry_of, show  # noqa: E402

#: In turn.
VICTIMS = ("ServeReplica", "node", "ProxyActor", "node")
READY_SECONDS, AWAY_SECONDS, NETWORK = 120, 30, 0x40000000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="A finished run of source digits with two trials or more.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--replicas", type=int, default=2, help="Likewise nodes.")
    parser.add_argument("--kill-every", type=float, default=75.0, help="Seconds.")
    parser.add_argument("--promote-every", type=float, default=10.0, help="Seconds.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        hosts = Hosts(Path(name))
        try:
            seen, before, after = measured(hosts, options)
        finally:
            hosts.down()
    show(seen, before=before, after=after, options=options)
    raise SystemExit(1 if seen.wrong else 0)


def measured(hosts, options):
    """Returns what the clients saw, and the megabytes that each replica held before and after."""
    nodes = [f"node{number}" for number in range(options.replicas)]
    hosts.up("head", *nodes)
    hosts.ray_head()
    hosts.ray_worker(*nodes)
    registry = registry_of(options.run, hosts.shared)
    images = np.random.default_rng(options.seed).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
    expected = {str(number): registry.load("digits", version=number).predict(images) for number in (1, 2)}
    command = f"exec convfleet serve {SHARED}/registry --address auto --port {PORT} --replicas {options.replicas}"
    server = hosts.popen("head", command)
    lines = iter(server.stdout.readline, "")
    assert any("Ctrl-C ends it" in line for line in lines), "the server did not start"
    threading.Thread(target=lambda: [print(line, end="", file=sys.stderr) for line in lines], daemon=True).start()
    before = held(hosts)
    seen = HostsLoad(options, hosts=hosts, registry=registry, images=images, expected=expected).run()
    after = held(hosts)
    hosts.run("head", "pkill -INT -f 'convfleet serve'")
    server.wait(READY_SECONDS)
    return seen, before, after


class HostsLoad(Load):
    """The clients on the head, and what happens to the hosts meanwhile."""

    def __init__(self, options, *, hosts, **given) -> None:
        super().__init__(options, **given, server=0)
        self._hosts = hosts

    def _ask(self, number: int) -> None:
        # Of this thread alone: it is on the head's network from here on.
        with Path(f"/proc/{self._hosts.hosts['head'].pid}/ns/net").open() as network:
            assert ctypes.CDLL(None).setns(network.fileno(), NETWORK) == 0
        super()._ask(number)

    def _kill(self) -> None:
        draws = random.Random(self._options.seed)
        nodes = [name for name in self._hosts.hosts if name != "head"]
        for word in itertools.cycle(VICTIMS):
            time.sleep(min(self._options.kill_every, max(0.0, self._end - time.monotonic())))
            if time.monotonic() + self._options.kill_every / 2 > self._end:
                return
            self.seen.killed.append((word, time.monotonic()))
            name = draws.choice(nodes)
            if word == "node":
                self._hosts.down(name)
                time.sleep(AWAY_SECONDS)
                self._hosts.up(name)
                self._hosts.ray_worker(name)
                continue
            pids = self._hosts.pids("head" if word == "ProxyActor" else name, word)
            for pid in pids[:1]:
                os.kill(pid, signal.SIGKILL)


def held(hosts):
    """Returns the megabytes that each replica holds."""
    pids = [pid for name in hosts.hosts for pid in hosts.pids(name, "ServeReplica")]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sorted(round(count * os.sysconf("SC_PAGE_SIZE") / 1e6) for count in pages)


if __name__ == "__main__":
    main()
