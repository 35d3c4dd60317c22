"""A real study trains its leader on all other folds, also where its driver was killed in between."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

SECTIONS = {
    "data": {"source": "digits", "limit": 200, "folds": 3, "fold": 2},
    "space": {
        "family": "sequential",
        "params": {"num_blocks": 1, "filters": 4, "learning_rate": 0.02, "batch_size": 32},
    },
    "search": {"algorithm": "random", "trials": 1, "replicates": 2, "replicate_on": "folds", "leaders": 1},
    "schedule": {"algorithm": "none", "max_epochs": 2},
    "resources": {"max_concurrent": 1},
    "export": {"top": 1, "formats": ["keras"]},
    "references": False,
}


def test_leader_validates_on_every_other_fold_and_a_killed_study_takes_the_same_ones(joined):
    said = joined.run("run", joined.write_study("folds", **SECTIONS))
    assert "again on fold 3" in said
    assert "means are over replicates on folds 3, 1, one each; the search validated on fold 2" in said
    run = joined.folder / "runs" / "folds"
    whole = json.loads(joined.run("status", "runs/folds", "--json"))
    (again,) = whole["replicates"]
    assert again["folds"] == [3, 1]
    # The export is of the trial of the search.
    assert [item["trial"] for item in whole["exports"]] == [again["trial"]]
    rows = pq.read_table(run / "trials.parquet", columns=["trial", "replicate_of", "fold"]).to_pylist()
    assert [(row["replicate_of"], row["fold"]) for row in rows] == [(None, None), ("t0000", 3), ("t0000", 1)]

    # What a killed driver leaves: the journal up to the first epoch of the first replicate, no end.
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    cut = next(at for at, line in enumerate(lines) if '"epoch_reported"' in line and '"t0001"' in line)
    reports = joined.reports("folds")
    (run / "journal.jsonl").write_text("".join(lines[: cut + 1]))
    shutil.rmtree(run / "checkpoints" / "t0002")
    shutil.rmtree(run / "exports")
    joined.run("resume", "runs/folds")
    resumed = json.loads(joined.run("status", "runs/folds", "--json"))
    assert resumed["replicates"] == whole["replicates"]
    told = joined.reports("folds")
    for trial in ("t0001", "t0002"):
        for epoch in (1, 2):
            assert told[trial, epoch]["val_accuracy"] == reports[trial, epoch]["val_accuracy"]
