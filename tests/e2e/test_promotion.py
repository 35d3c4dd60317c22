"""Trials wait at rungs in a real study: those that go on do so exactly where they were, also after a kill."""

import os
import signal

import pytest

pytestmark = pytest.mark.slow

#: The best of all is the first: whether it or the second one reports first, it waits once, and is promoted later.
SPACE = {
    "family": "sequential",
    "params": {"learning_rate": {"choice": [0.03, 0.002, 0.001]}, "filters": {"choice": [8, 4]}, "batch_size": 64},
}
SECTIONS = {
    "space": SPACE,
    "search": {"algorithm": "grid", "trials": 6},
    "resources": {"max_concurrent": 2},
    "export": {"top": 0},
    "references": False,
}
WAITING = {"algorithm": "asha", "promotion": True, "max_epochs": 4, "grace_epochs": 1, "reduction_factor": 2}
WHOLE = {"algorithm": "none", "max_epochs": 4}


def check_journal(convfleet, name: str) -> None:
    """Asserts that all trials ended, and that each that was promoted had waited there."""
    held = {(record["trial"], record["epoch"]) for record in convfleet.records(name, "trial_held")}
    promoted = {(record["trial"], record["epoch"]) for record in convfleet.records(name, "trial_promoted")}
    stopped = {record["trial"]: record["epoch"] for record in convfleet.records(name, "trial_stopped")}
    assert promoted
    assert promoted <= held
    # Who waited either went on from there, or ended there.
    assert held == promoted | set(stopped.items())
    reports = convfleet.reports(name)
    assert {(trial, epoch + 1) for trial, epoch in promoted} <= set(reports)
    last = {trial: max(epoch for other, epoch in reports if other == trial) for trial, _ in reports}
    assert last == {trial: stopped.get(trial, 4) for trial in last}
    assert len(last) == 6
    assert len(convfleet.records(name, "study_finished")) == 1


def test_promoted_trials_train_as_if_they_had_never_waited_also_after_a_kill(convfleet):
    convfleet.run("run", convfleet.write_study("whole", **SECTIONS, schedule=WHOLE))
    process = convfleet.start("run", convfleet.write_study("killed", **SECTIONS, schedule=WAITING))
    convfleet.wait_for("killed", "trial_held", 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = convfleet.reports("killed")
    assert '"held": ' in convfleet.run("status", "runs/killed", "--json")
    said = convfleet.run("resume", "runs/killed")
    check_journal(convfleet, "killed")
    assert ": asha: waits at epoch 1 until it is among the best 1/2 of those that got there" in said
    whole, waiting = convfleet.reports("whole"), convfleet.reports("killed")
    # Bit for bit: the same variants, from the same generators, through a pause and perhaps another worker.
    assert before.items() <= waiting.items() <= whole.items()
    assert len(waiting) < len(whole)
