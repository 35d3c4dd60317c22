"""`convfleet replay` shows what other rules would have made of a run, and refuses what a run cannot tell."""

import json
import sys

import pytest
from known_courses import ALGORITHMS, full_run, run_under

from orchestrator.cli import app as cli
from orchestrator.journal.file import Journal
from orchestrator.journal.records import (
    EpochReported,
    SessionStarted,
    TrialProposed,
    TrialReplaced,
    TrialStarted,
    TrialStopped,
)
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study

OVERRIDES = (
    "schedule.algorithm=asha",
    "schedule.max_epochs=9",
    "schedule.grace_epochs=1",
    "resources.max_concurrent=3",
)


def records_of(state):
    yield state.header
    yield SessionStarted(driver_pid=1, slots=3, at=0.0)
    for trial in state.trials.values():
        yield TrialProposed(trial=trial.name, number=trial.number, variant=trial.variant.to_json(), at=0.0)
        yield TrialStarted(trial=trial.name, at=0.0)
        for report in trial.reports:
            yield EpochReported(trial=trial.name, report=report.to_json(), worker=trial.worker, at=1.0)
        if trial.stop is not None:
            yield TrialStopped(trial=trial.name, epoch=trial.epoch, reason=trial.stop.reason, at=1.0)


@pytest.fixture
def write_run(tmp_path):
    def write(records, *overrides):
        folder = RunFolder(tmp_path / "runs" / "made")
        folder.root.mkdir(parents=True)
        study = load_study("quickstart", overrides=[*OVERRIDES, *overrides])
        folder.study.write_text(study.to_yaml(), encoding="utf-8")
        with Journal(folder.journal) as journal:
            for record in records:
                journal.append(record)

    return write


@pytest.fixture
def replay(tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "150")
        monkeypatch.setattr(sys, "argv", ["convfleet", "replay", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_all_rules_are_compared_with_the_run_for_people_and_for_scripts(replay, write_run):
    write_run(records_of(run_under(full_run(3), "asha")))
    code, text, error = replay("runs/made")
    assert (code, error) == (0, "")
    rows = {line.split("  ")[0].strip() for line in text.splitlines()}
    assert {"the run", *(f"with {name}" for name in ALGORITHMS)} <= rows
    assert "with none, open: t0" in text
    content = json.loads(replay("runs/made", "--json")[1])
    by_name = {item["schedule"]: item for item in content["policies"]}
    assert set(by_name) == set(ALGORITHMS)
    assert by_name["asha"]["epochs"] == content["run"]["epochs"]
    assert by_name["none"]["epochs"] == {"low": content["run"]["epochs"]["low"], "high": 16 * 9}


def test_a_run_s_own_rule_of_waiting_is_left_out_where_its_moments_are_not_known(replay, write_run):
    # Two slots instead of three: others would have gone on.
    write_run(records_of(run_under(full_run(3), "asha", promotion=True)), "schedule.promotion=true")
    two = ("--set", "resources.max_concurrent=2")
    code, text, error = replay("runs/made", *two)
    assert (code, error) == (0, "")
    said = " ".join(text.split())
    assert "with asha with promotion, left out: schedule.promotion: the run lacks later epochs of t00" in said
    content = json.loads(replay("runs/made", *two, "--json")[1])
    assert {item["schedule"] for item in content["policies"]} == set(ALGORITHMS) - {"asha"}
    assert list(content["left_out"]) == ["asha with promotion"]
    assert "left_out" not in json.loads(replay("runs/made", "--json")[1])
    for asked in (("--schedule", "asha"), ("--set", "schedule.promotion=true")):
        code, _, error = replay("runs/made", *two, *asked)
        assert code == 2
        assert "schedule.promotion: the run lacks later epochs of t00" in error


def test_chosen_rules_and_budgets_are_replayed(replay, write_run):
    write_run(records_of(full_run(3)))
    arguments = ("--schedule", "none", "--set", "search.trials=4", "--set", "resources.max_concurrent=1", "--json")
    content = json.loads(replay("runs/made", *arguments)[1])
    (item,) = content["policies"]
    assert item["schedule"] == "none"
    assert item["epochs"] == {"low": 36, "high": 36}
    assert item["wall_seconds"]["low"] * 2 == pytest.approx(item["core_seconds"]["low"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "search.algorithm=gp"), "--set search.algorithm=gp: other values of search.algorithm"),
        (("--set", "data.seed=3"), "--set data.seed=3: other values of data.seed"),
        (("--set", "schedule.reduction=2"), "did you mean 'schedule.reduction_factor'?"),
        (("--set", "search.trials=17"), "search.trials: must be at most 16"),
        (("--set", "search.trials=none"), "search.trials"),
        (("--schedule", "ashes"), "schedule.algorithm: must be one of none, asha"),
        (("--schedule", "pbt"), "schedule.algorithm: trials of pbt and pb2 go on from each other's checkpoints"),
        (("--set", "schedule.grace_epochs=12"), "grace_epochs: must not exceed max_epochs (9), got 12"),
        (("--set", "schedule.max_epochs"), "expected key=value"),
    ],
)
def test_what_a_run_cannot_tell_is_refused_with_place_and_value(replay, write_run, arguments, said):
    write_run(records_of(full_run(3)))
    code, _, error = replay("runs/made", *arguments)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_a_run_without_reports_is_refused(replay, write_run):
    write_run([full_run(3).header])
    code, _, error = replay("runs/made")
    assert code == 2
    assert "no trial has reported an epoch yet" in error


def test_a_run_of_a_population_is_refused(replay, write_run):
    *before, report = [record for record in records_of(full_run(3)) if not isinstance(record, TrialStopped)]
    trials = {record.trial: record for record in before if isinstance(record, TrialProposed)}
    child = TrialReplaced(
        trial=f"t{len(trials):04d}",
        number=len(trials),
        variant=trials["t0000"].variant,
        parent="t0000",
        from_epoch=2,
        replaces=report.trial,
        epoch=report.report["epoch"] - 1,
        reason="pbt: weak",
        at=1.0,
    )
    write_run([*before, child])
    code, _, error = replay("runs/made", "--schedule", "asha")
    assert code == 2
    assert "a run tells nothing of how they would have gone under other rules" in " ".join(error.split())
