"""A command that is tried again goes on with its study, and begins nothing anew."""

import signal

import pytest

pytestmark = pytest.mark.slow

TWO = {"search": {"algorithm": "random", "trials": 2}, "resources": {"max_concurrent": 1}}


def test_a_killed_command_goes_on_when_it_is_tried_again_and_then_has_nothing_to_do(joined):
    study = joined.write_study("again", schedule={"algorithm": "none", "max_epochs": 30}, **TWO)
    command = ("run", study, "--resume-if-there")
    process = joined.start(*command)
    joined.wait_for("again", "epoch_reported", 4, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = joined.reports("again")
    said = joined.run(*command)
    assert "runs/again: goes on with the run of this study" in said
    reports = joined.reports("again")
    assert len(reports) == 2 * 30
    assert before.items() <= reports.items()
    count = len(joined.records("again"))
    said = joined.run(*command)
    assert "runs/again: has finished: nothing is left to train" in said
    assert len(joined.records("again")) == count
    assert [path.name for path in (joined.folder / "runs").iterdir()] == ["again"]
    joined.write_study("again", schedule={"algorithm": "none", "max_epochs": 31}, **TWO)
    said = joined.run(*command, code=2)
    assert "runs/again: is the run of another study" in said


def test_a_study_with_automatic_numbers_goes_on_as_well(joined):
    changes = {"schedule": {"algorithm": "asha"}, "search": {"trials": 1}, "data": {"source": "digits", "limit": 200}}
    study = joined.write_study("numbers", **changes)
    joined.run("run", study, "--resume-if-there")
    said = joined.run("run", study, "--resume-if-there")
    assert "has finished" in said
