"""A run for each fold: one seed gives them the same variants, whose means `status --fold` tells."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_the_folds_of_a_study_train_the_same_variants(joined):
    study = joined.write_study(
        "digits",
        data={"source": "digits", "limit": 300, "folds": 2, "fold": 1},
        search={"algorithm": "random", "trials": 2},
        schedule={"algorithm": "none", "max_epochs": 1},
        resources={"max_concurrent": 1},
    )
    joined.run("run", study, "--set", "name=one")
    joined.run("run", study, "--set", "name=two", "--set", "data.fold=2")
    told = json.loads(joined.run("status", "runs/one", "--fold", "runs/two", "--json"))["over_folds"]
    assert len(told) == 2
    for place, run in enumerate(("one", "two")):
        best = [item["values"][place] for item in told]
        reports = joined.reports(run)
        assert sorted(best) == sorted(report["val_accuracy"] for report in reports.values())
    assert told[0]["values"][0] != told[0]["values"][1]
