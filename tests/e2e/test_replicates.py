"""A real study trains its leaders again, exports the best by the mean, and goes on with more replicates."""

import json

import pytest
import yaml

pytestmark = pytest.mark.slow

SECTIONS = {
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": 1,
            "filters": {"choice": [4, 8]},
            "learning_rate": {"float": [1e-3, 1e-1], "log": True},
        },
    },
    "search": {"algorithm": "random", "trials": 4, "replicates": 2, "leaders": 2},
    "schedule": {"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1},
    "export": {"top": 1, "formats": ["keras"]},
}


def test_leaders_are_trained_again_and_a_finished_run_goes_on_with_more(joined):
    output = joined.run("run", joined.write_study("again", **SECTIONS))
    assert "4 of 4 trials ended, 4 of 4 replicates ended" in output
    proposals = joined.records("again", "trial_proposed")
    originals = [record.get("replicate_of") for record in proposals]
    assert originals[:4] == [None] * 4
    assert sorted(map(originals.count, set(originals[4:]))) == [2, 2]
    seeds = [record["variant"]["seed"] for record in proposals]
    assert len(set(seeds)) == 1 + 4
    reports = joined.reports("again")
    for record in proposals[4:]:
        values = [reports[record["trial"], epoch]["val_accuracy"] for epoch in (1, 2, 3)]
        original = [reports[key]["val_accuracy"] for key in reports if key[0] == record["replicate_of"]]
        assert values[: len(original)] != original

    status = json.loads(joined.run("status", "runs/again", "--json"))
    assert sum(status["trials"].values()) == 4
    means = [item["mean"] for item in status["replicates"]]
    assert means == sorted(means, reverse=True)
    best = status["replicates"][0]["trial"]
    assert (status["best"]["trial"], status["exports"][0]["trial"]) == (best, best)
    assert len(status["replicates"][0]["values"]) == 2

    before = joined.records("again")
    output = joined.run("resume", "runs/again", "--set", "search.replicates=3")
    assert "extended: search.replicates 2 -> 3" in output
    after = joined.records("again")
    assert after[: len(before)] == before
    added = [record for record in after[len(before) :] if record["type"] == "trial_proposed"]
    assert all(record["replicate_of"] in originals for record in added)
    assert len(added) == 2 or "is not trained again after 2 replicates" in output
    run = joined.folder / "runs" / "again"
    assert yaml.safe_load((run / "study.yaml").read_text())["search"]["replicates"] == 3
    page = (run / "report.html").read_text()
    assert "replicates&#x27; mean" in page or "replicates' mean" in page
