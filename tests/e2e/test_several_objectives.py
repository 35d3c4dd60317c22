"""A study of two objectives, in real runs: its front, its exports, and the same front where a driver was killed."""

import json
import shutil

import pytest

pytestmark = pytest.mark.slow

SECTIONS = {
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": {"int": [1, 2]},
            "filters": {"choice": [2, 4, 8]},
            "dropout": {"float": [0, 0.4], "step": 0.1},
            "learning_rate": 0.01,
            "batch_size": 64,
        },
    },
    "data": {"source": "digits", "limit": 400},
    "objective": [{"metric": "val_accuracy"}, {"metric": "parameters"}],
    "search": {"algorithm": "tpe", "trials": 12},
    "schedule": {"algorithm": "none", "max_epochs": 1},
    "resources": {"max_concurrent": 1},
    "export": {"top": 1, "formats": ["keras"], "choose": "least parameters"},
    "references": False,
}
#: Trials that have ended when the driver is killed; the search learns from the first eight.
NUM_BEFORE = 9


def test_a_study_whose_driver_was_killed_has_the_front_that_it_would_have_had(joined):
    said = joined.run("run", joined.write_study("two", **SECTIONS))
    assert "(*): no trial is better in one objective and none worse" in said
    run = joined.folder / "runs" / "two"
    whole = json.loads(joined.run("status", "runs/two", "--json"))
    smallest = min(whole["front"], key=lambda item: item["values"]["parameters"])
    assert [item["trial"] for item in whole["exports"]] == [smallest["trial"]]

    # What a killed driver leaves: the journal up to some record, no end.
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    proposed = [at for at, line in enumerate(lines) if '"trial_proposed"' in line]
    (run / "journal.jsonl").write_text("".join(lines[: proposed[NUM_BEFORE]]))
    for trial in (f"t{number:04d}" for number in range(NUM_BEFORE, 12)):
        shutil.rmtree(run / "checkpoints" / trial)
    shutil.rmtree(run / "exports")
    joined.run("resume", "runs/two")
    again = json.loads(joined.run("status", "runs/two", "--json"))
    assert again["num_sessions"] == 2
    assert again["front"] == whole["front"]
    assert again["hypervolume"] == whole["hypervolume"]
    assert [item["trial"] for item in again["exports"]] == [smallest["trial"]]

    # A user who asks for one more gets it by the study's own choice, not the most accurate one.
    shutil.rmtree(run / "exports")
    (exported,) = json.loads(joined.run("export", "runs/two", "--top", "1", "--json"))
    assert exported["trial"] == smallest["trial"]
