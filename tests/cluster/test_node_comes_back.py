"""A host that sleeps, or waits for its files, until its trial goes on elsewhere, costs no row and no model as it wakes.

Its files come from a server that stops answering (bindfs, which needs FUSE), as NFS that is mounted hard in a cut.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import SHARED, Hosts, wait_until

from orchestrator.driver.api import open_run
from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint
from trainables.files.manifests import damage_of

#: A Ray on three hosts of this machine, and two studies on it.
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

EPOCHS = 150
NODES = ("node1", "node2")
STUDY: dict[str, Any] = {
    "name": "long",
    "seed": 3,
    "data": {"source": "digits", "limit": 500},
    "space": {"family": "sequential", "params": {"num_blocks": 1, "filters": {"choice": [4, 8]}, "dropout": 0.2}},
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": EPOCHS},
    "export": {"top": 2, "formats": ["keras"]},
    "references": False,
}
#: A host that does not answer counts as dead after some 20 s instead of a minute.
IMPATIENT = {
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "4000",
    "RAY_health_check_failure_threshold": "5",
}


@pytest.fixture(scope="module")
def hosts(make_hosts: Any) -> Any:
    found = make_hosts("head", *NODES, environment=IMPATIENT)
    found.ray_head()
    (found.shared / "long.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def calm(hosts: Any) -> Path:
    """The run of the study on nodes that nothing happens to."""
    hosts.ray_worker(*NODES)
    hosts.run("head", command("calm"), timeout=600)
    root: Path = hosts.shared / "calm" / "long"
    return root


class Sleep:
    """All processes of a host stand still."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts

    def begin(self, node: str) -> None:
        self.hosts.freeze(node)

    def end(self, node: str) -> None:
        self.hosts.thaw(node)


class FileServer:
    """What serves the common folder to the nodes hangs, and then the node is off the network as well."""

    def __init__(self, hosts: Hosts) -> None:
        if shutil.which("bindfs") is None or not Path("/dev/fuse").exists():
            pytest.skip("a file server that hangs needs bindfs and FUSE")
        self.hosts = hosts
        moved = f"mkdir -p /mnt/real && mount --move {SHARED} /mnt/real && mkdir -p {SHARED}"
        self.servers = {}
        for name in NODES:
            self.servers[name] = hosts.popen(
                name, f"ray stop >/dev/null; {moved} && exec bindfs -f /mnt/real {SHARED}", cwd="/"
            )
            seen = f"test -e {SHARED}/long.yaml && mount | grep -q '{SHARED} type fuse'"
            wait_until(lambda name=name, seen=seen: "yes" in hosts.run(name, f"{seen} && echo yes", code=None, cwd="/"),
                       seconds=20, what=f"the files of {name}")  # fmt: skip
        hosts.ray_worker(*NODES)

    def begin(self, node: str) -> None:
        self._signal(node, signal.SIGSTOP)
        time.sleep(1.5)
        self.hosts.cut(node)

    def end(self, node: str) -> None:
        self.hosts.mend(node)
        self._signal(node, signal.SIGCONT)
        # What started it stops with it, and does not go on with it.
        self.servers[node].send_signal(signal.SIGCONT)

    def _signal(self, node: str, number: signal.Signals) -> None:
        (pid,) = self.hosts.pids(node, "bindfs -f")
        os.kill(pid, number)


def command(runs: str) -> str:
    return f"{sys.executable} -m convfleet run {SHARED}/long.yaml --runs {SHARED}/{runs} --address auto"


def trials_of(root: Path) -> Any:
    """Returns the trials that a run has by now."""
    return open_run(root).state.trials if (root / "journal.jsonl").exists() else {}


def rows(root: Path) -> dict[tuple[str, int], Any]:
    return {(name, report.epoch): report.metrics for name, trial in trials_of(root).items() for report in trial.reports}


@pytest.mark.parametrize("kind", [Sleep, FileServer])
def test_trial_of_a_host_that_stood_still_goes_on_elsewhere_and_loses_nothing_as_the_host_wakes(
    hosts: Any, calm: Path, kind: type[Sleep] | type[FileServer]
) -> None:
    trouble, root = kind(hosts), hosts.shared / kind.__name__ / "long"
    process = hosts.popen("head", command(kind.__name__))
    on_its_way: dict[str, str] = {}

    def is_under_way() -> bool:
        on_its_way.update({trial.worker["node"]: name for name, trial in trials_of(root).items() if trial.epoch >= 10})
        return bool(on_its_way) or process.poll() is not None

    wait_until(is_under_way, seconds=200, what="ten epochs of a trial")
    node, name = next(iter(on_its_way.items()))
    trouble.begin(node)
    try:

        def went_on() -> bool:
            trial = trials_of(root)[name]
            return bool(trial.losses) and trial.worker["node"] != node and trial.is_with_worker

        wait_until(lambda: went_on() or process.poll() is not None, seconds=300, what=f"{name} goes on elsewhere")
        epoch = trials_of(root)[name].epoch
    finally:
        trouble.end(node)
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said
    assert went_on() or trials_of(root)[name].losses
    assert 10 <= epoch < EPOCHS
    assert rows(root) == rows(calm)
    assert len(rows(root)) == 2 * EPOCHS
    state = open_run(root).state
    for trial in state.trials.values():
        best = trial.best_report(**state.header.ranking)
        assert best is not None
        folder = checkpoint_folder(root / "checkpoints" / trial.name, epoch=best.epoch)
        load_checkpoint(folder, variant_id=trial.variant.variant_id)
    assert [damage_of(path) for path in sorted((root / "exports").glob("[!.]*"))] == ["", ""]
    # The last start of a worker has the trial, and no other one has left anything.
    (owner,) = (root / "checkpoints" / name).glob(".owner-*")
    assert owner.name > ".owner-0001-0002"
