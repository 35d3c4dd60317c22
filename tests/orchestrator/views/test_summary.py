"""What a study came to and where it stands, for people and for scripts."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.journal.records import EnsembleExported, StudyPaused
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_status, print_summary

CONTROL = re.compile(r"[^\x20-\x7e\n]")


def console(*, is_terminal=False, width=120):
    return Console(file=StringIO(), width=width, height=40, force_terminal=is_terminal, color_system=None)


def printed(target):
    return target.file.getvalue()


def test_summary_tells_result_cost_places_and_next_commands(make_sweep, tmp_path):
    folder = RunFolder(tmp_path / "my run")
    folder.root.mkdir()
    folder.report.write_text("")
    exported = folder.export(rank=1, trial="t0003")
    exported.mkdir(parents=True)
    (exported / "model.keras").write_text("")
    target = console(width=140)
    print_summary(target, fold(make_sweep()), folder=folder, k=3)
    text = re.sub(r" +", " ", printed(target))
    root = folder.root
    for told in (
        "cifar10-small highest val_accuracy (validation) finished",
        "rank trial state best val_accuracy at epoch epochs train time variant",
        "1 t0003 completed 0.7852 9 9 45 s sequential filters=8",
        "trials 4 completed, 8 stopped, 1 infeasible, 1 failed (of 14)",
        "failed infeasible: t0005 (five pooling steps leave no pixel of a 16x16 image)",
        "failed diverged: t0008 (the loss is nan after epoch 3, learning_rate=0.1)",
        "cost 8 min 20 s elapsed, 5 min 19 s in training steps; 58 epochs trained, 52 saved by stopping early",
        f"export {root}/exports/1-t0003 test_accuracy 0.812, test_loss 0.6 (test split)",
        f"tables {folder.trials} {folder.epochs}",
        f"report {folder.report}",
        f"next convfleet report '{root}'",
        f"next convfleet export '{root}'",
        f"open_run({str(root)!r}).load_model(rank=1)",
    ):
        assert told in text
    assert "t0001" not in text  # rank 4
    assert "resume" not in text


def test_an_export_that_is_not_on_this_machine_is_named_as_such(make_sweep, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    ensemble = EnsembleExported(
        method="soup", members=[], metrics={}, folder="exports/ensemble-soup", test_metrics={"accuracy": 0.9}, at=0.0
    )
    target = console(width=300)
    print_summary(target, fold([*make_sweep(), ensemble]), folder=folder)
    text, gone = re.sub(r" +", " ", printed(target)), "is not on this machine; make it again with: convfleet"
    assert f"export {folder.exports}/1-t0003 {gone} export {folder.root} --top 1\n" in text
    assert f"export {folder.exports}/ensemble-soup {gone} ensemble {folder.root} --method soup\n" in text
    assert "(test split)" not in text
    (folder.exports / "1-t0003").mkdir(parents=True)
    found = status_json(fold(make_sweep()), folder=folder, is_alive=False)
    assert [item["is_there"] for item in found["exports"]] == [True]


def test_summary_of_a_paused_study_without_results_says_how_to_go_on(begin):
    target = console()
    paused = StudyPaused(reason="interrupted by the user", at=120.0)
    print_summary(target, fold([*begin(), paused]), folder=RunFolder(Path("runs/x")))
    assert "no trial has ended with a result yet" in printed(target)
    assert "paused: interrupted by the user" in printed(target)
    assert "next    convfleet resume runs/x\n" in printed(target)
    assert "load_model" not in printed(target)


def test_the_search_that_auto_became_is_told_with_its_reason(make_opened, tmp_path):
    folder, target, plain = RunFolder(tmp_path), console(), console()
    state = fold([make_opened(search="gp, as it finds most")])
    print_summary(target, state, folder=folder)
    assert re.search(r"search +gp, as it finds most\n", printed(target))
    assert status_json(state, folder=folder, is_alive=False)["search"] == "gp, as it finds most"
    print_summary(plain, fold([make_opened()]), folder=folder)
    assert not re.search(r"^search ", printed(plain), re.MULTILINE)


@pytest.mark.parametrize(
    ("is_alive", "told", "not_told"),
    [(True, ["running", "t0000", "4000"], "resume"), (False, ["interrupted", "2 paused"], "2 running")],
)
def test_status_depends_on_whether_the_driver_is_at_work(begin, make_reported, is_alive, told, not_told):
    target = console()
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5)])
    print_status(target, state, folder=RunFolder(Path("runs/x")), is_alive=is_alive, now=120.0)
    for text in told:
        assert text in printed(target)
    assert not_told not in printed(target)


def test_status_as_json_holds_the_facts(make_sweep):
    found = json.loads(json.dumps(status_json(fold(make_sweep()), folder=RunFolder(Path("runs/x")), is_alive=False)))
    assert found["state"] == "finished"
    assert found["objective"] == {"metric": "val_accuracy", "mode": "max", "split": "validation"}
    assert found["trials"] == {
        "waiting": 0,
        "running": 0,
        "paused": 0,
        "held": 0,
        "completed": 4,
        "stopped": 8,
        "infeasible": 1,
        "failed": 1,
    }
    assert (found["best"]["trial"], found["best"]["epoch"], found["best"]["value"]) == ("t0003", 9, 0.7852)
    assert found["best"]["metrics"].keys() == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert found["cost"]["epochs_saved"] == 52
    assert found["exports"] == [
        {
            "rank": 1,
            "trial": "t0003",
            "folder": "runs/x/exports/1-t0003",
            "is_there": False,
            "test_metrics": {"test_accuracy": 0.812, "test_loss": 0.6},
        }
    ]


def test_status_as_json_of_a_study_that_has_only_begun(begin):
    found = status_json(fold(begin()), folder=RunFolder(Path("runs/x")), is_alive=True)
    assert found["state"] == "running"
    assert found["best"] is None
    assert [item["trial"] for item in found["running"]] == ["t0000", "t0001"]


def test_summary_names_no_model_where_none_was_exported(make_sweep, tmp_path):
    target = console(width=140)
    print_summary(target, fold(make_sweep()), folder=RunFolder(tmp_path))
    assert "load_model" not in printed(target)


def test_what_the_best_trial_measured_beside_the_objective_is_told(begin, make_reported):
    target = console(width=200)
    record = make_reported(0, 1, at=110.0, value=0.5)
    heads = {"val_digit_accuracy": 0.91, "val_ink_mae": 0.0125, "val_ink_loss": 0.2, "val_loss": 0.7, "loss": 1.0}
    record = replace(record, report={**record.report, "metrics": heads})
    state = fold([*begin(metric="val_digit_accuracy"), record])
    print_summary(target, state, folder=RunFolder(Path("runs/x")))
    assert "metrics t0000 at epoch 1: val_ink_mae 0.0125, val_ink_loss 0.2, val_loss 0.7" in printed(target)


def test_nothing_is_told_beside_a_lone_metric_and_its_loss(make_sweep):
    target = console(width=200)
    print_summary(target, fold(make_sweep()), folder=RunFolder(Path("runs/x")))
    assert "metrics t00" not in printed(target)
