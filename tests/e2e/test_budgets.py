"""A study ends when its budget is used up or its target is reached, and a larger one goes on, in real runs."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

SPACE = {
    "family": "sequential",
    "params": {"filters": {"choice": [4, 8]}, "learning_rate": {"float": [1e-3, 1e-2], "log": True}, "batch_size": 64},
}
#: Trials at a time, which are under way when a budget is used up.
AT_ONCE = 2
SECTIONS = {"space": SPACE, "resources": {"max_concurrent": AT_ONCE}, "export": {"top": 1, "formats": ["keras"]}}


def schedule(max_epochs: int) -> dict[str, Any]:
    return {"algorithm": "none", "max_epochs": max_epochs}


def test_epochs_end_a_study_and_more_of_them_go_on(joined):
    study = joined.write_study(
        "epochs", **SECTIONS, search={"algorithm": "sobol", "trials": 12, "epochs": 5}, schedule=schedule(2)
    )
    said = joined.run("run", study)
    first = joined.reports("epochs")
    assert 5 <= len(first) <= 5 + AT_ONCE
    assert "search.epochs: the 5 epochs of the study were trained after " in said
    assert (joined.folder / "runs" / "epochs" / "exports").is_dir()
    said = joined.run("resume", "runs/epochs", "--set", "search.epochs=9")
    assert "extended: search.epochs 5 -> 9" in said
    both = joined.reports("epochs")
    assert 9 <= len(both) <= 9 + AT_ONCE
    assert first.items() <= both.items()


def test_a_target_ends_a_study(joined):
    study = joined.write_study(
        "target", **SECTIONS, search={"algorithm": "gp", "trials": 40, "target": 0.5}, schedule=schedule(8)
    )
    said = joined.run("run", study)
    assert " reached val_accuracy 0.5 after " in said
    values = [record["report"]["metrics"]["val_accuracy"] for record in joined.records("target", "epoch_reported")]
    (reached,) = [number for number, value in enumerate(values) if value >= 0.5][:1]
    # Those under way had their next epoch.
    assert len(values) - reached - 1 <= AT_ONCE - 1
