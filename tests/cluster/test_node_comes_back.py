"""A host that sleeps until its trial goes on elsewhere, and wakes up then, costs no row and no model."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import SHARED, wait_until

from orchestrator.driver.api import open_run
from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint
from trainables.files.manifests import damage_of

#: A Ray on three hosts of this machine, and two studies on it.
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

EPOCHS = 150
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
    found = make_hosts("head", "node1", "node2", environment=IMPATIENT)
    found.ray_head()
    found.ray_worker("node1", "node2")
    (found.shared / "long.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    return found


def command(runs: str) -> str:
    return f"{sys.executable} -m convfleet run {SHARED}/long.yaml --runs {SHARED}/{runs} --address auto"


def trials_of(root: Path) -> Any:
    """Returns the trials that a run has by now."""
    return open_run(root).state.trials if (root / "journal.jsonl").exists() else {}


def rows(root: Path) -> dict[tuple[str, int], Any]:
    return {(name, report.epoch): report.metrics for name, trial in trials_of(root).items() for report in trial.reports}


def test_trial_of_a_host_that_slept_goes_on_elsewhere_and_loses_nothing_as_the_host_wakes(hosts: Any) -> None:
    hosts.run("head", command("calm"), timeout=600)
    calm, root = hosts.shared / "calm" / "long", hosts.shared / "runs" / "long"
    process = hosts.popen("head", command("runs"))
    on_its_way: dict[str, str] = {}

    def is_under_way() -> bool:
        on_its_way.update({trial.worker["node"]: name for name, trial in trials_of(root).items() if trial.epoch >= 10})
        return bool(on_its_way) or process.poll() is not None

    wait_until(is_under_way, seconds=200, what="ten epochs of a trial")
    node, name = next(iter(on_its_way.items()))
    hosts.freeze(node)
    try:

        def went_on() -> bool:
            trial = trials_of(root)[name]
            return bool(trial.losses) and trial.worker["node"] != node and trial.is_with_worker

        wait_until(lambda: went_on() or process.poll() is not None, seconds=300, what=f"{name} goes on elsewhere")
        epoch = trials_of(root)[name].epoch
    finally:
        hosts.thaw(node)
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
