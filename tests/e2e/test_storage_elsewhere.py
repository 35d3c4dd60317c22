"""A machine that is lost in the middle of a study that is kept in an object store: the study goes on elsewhere."""

import json
import os
import shutil
import time
from collections import Counter

import pytest

from orchestrator.mirror.journal import read_remote_journal
from orchestrator.mirror.lock import HEARTBEAT
from trainables.files.remote import RemoteFolder

#: Four command lines, one after the other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: More than are done when the machine is lost after the first reports.
MAX_EPOCHS = 30
STUDY = {
    "search": {"algorithm": "random", "trials": 2},
    "schedule": {"algorithm": "none", "max_epochs": MAX_EPOCHS},
    "export": {"top": 1, "formats": ["keras"]},
    "resources": {"max_concurrent": 1},
}


def reports_in(journal):
    records = [json.loads(line) for line in journal.splitlines()]
    told = [(record["trial"], record["report"]) for record in records if record["type"] == "epoch_reported"]
    return {(trial, report["epoch"]): report for trial, report in told}


def is_in_the_middle(reports):
    """Returns whether some trial has a few reports and many to come."""
    counts = Counter(trial for trial, _ in reports)
    return any(3 <= count < MAX_EPOCHS - 5 for count in counts.values())


@pytest.fixture
def machine(make_joined, tmp_path, object_store):
    """Makes a machine: a command line in a folder of its own, with the credentials of the object store."""

    def make(name):
        (tmp_path / name).mkdir()
        line = make_joined(tmp_path / name)
        line.environment.update({name: value for name, value in os.environ.items() if name.startswith("AWS_")})
        return line

    return make


def test_lost_machine_costs_nothing_that_was_uploaded(machine, object_store):
    first, second, calm = machine("first"), machine("second"), machine("calm")
    calm.run("run", calm.write_study("kept", **STUDY | {"export": {"top": 0}}))
    object_store.faults.error_share, object_store.faults.slow_share = 0.03, 0.1
    object_store.faults.slow_seconds = 0.05
    process = first.start("run", first.write_study("kept", **STUDY, storage=object_store.uri()))
    remote = RemoteFolder.open(object_store.uri("runs/kept"))
    while not is_in_the_middle(reports_in(read_remote_journal(remote).data)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    process.kill()
    process.communicate()
    shutil.rmtree(first.folder / "runs", ignore_errors=True)
    before = reports_in(read_remote_journal(remote).data)

    uri = object_store.uri("runs/kept")
    refused = second.run("resume", uri, code=2)
    assert "another convfleet is at work on it" in refused
    assert "if it is dead, try again in" in refused
    remote.delete(HEARTBEAT)  # a minute passes
    assert "finished" in second.run("resume", uri)
    run = second.folder / "runs" / "kept"
    after = reports_in((run / "journal.jsonl").read_bytes())
    assert before == {key: after[key] for key in before}
    assert second.reports("kept") == calm.reports("kept")
    assert read_remote_journal(remote).data == (run / "journal.jsonl").read_bytes()
    assert len(list((run / "exports").glob("1-*/model.keras"))) == 1
    # Unfinished trials went on from the checkpoints there: their first epoch took as long as on the first machine.
    for trial in {trial for trial, epoch in before if epoch >= 3}:
        if (run / "checkpoints" / trial).is_dir():
            newest = max((run / "checkpoints" / trial).glob("epoch-*"))
            told = json.loads((newest / "history.json").read_text())
            assert told["reports"][0]["train_seconds"] == before[trial, 1]["train_seconds"]
    assert "not-a-secret" not in (run / "environment.json").read_text() + (run / "study.yaml").read_text()
    assert object_store.faults.num_failed > 0
