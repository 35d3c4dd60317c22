"""Trials that fail are told apart and leave the study standing."""

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow


def test_infeasible_variants_are_data_and_the_study_goes_on(joined):
    study = joined.write_study(
        "tight",
        data={"source": "digits", "image_size": [28, 28]},
        space={
            "family": "sequential",
            "params": {"num_blocks": {"choice": [1, 5]}, "padding": "valid", "filters": 4},
        },
        search={"algorithm": "grid"},
        schedule={"algorithm": "none", "max_epochs": 1},
    )
    joined.run("run", study)
    table = pq.read_table(joined.folder / "runs/tight/trials.parquet")
    trials = {row["param.num_blocks"]: row for row in table.to_pylist()}
    assert trials[1]["state"] == "completed"
    assert trials[5]["state"] == "infeasible"
    assert trials[5]["epochs"] == 0
    assert "block 4" in trials[5]["reason"] or "block 3" in trials[5]["reason"]
    assert "28x28" in trials[5]["reason"]


def test_study_without_any_result_fails_and_says_why(joined):
    study = joined.write_study(
        "hopeless",
        space={"family": "sequential", "params": {"num_blocks": {"choice": [5, 6]}, "padding": "valid"}},
        search={"algorithm": "grid"},
    )
    output = joined.run("run", study, code=1)
    assert "no trial has a result" in output
    assert "needs at least" in output


def test_data_that_cannot_be_read_is_an_input_error_and_leaves_no_run_behind(convfleet):
    (convfleet.folder / "broken.npz").write_bytes(b"not an archive")
    study = convfleet.write_study("unread", data={"source": "npz", "path": "broken.npz"})
    output = convfleet.run("run", study, code=2)
    assert "broken.npz" in output
    assert not (convfleet.folder / "runs" / "unread").exists()
