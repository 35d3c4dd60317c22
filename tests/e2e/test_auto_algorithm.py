"""A study that leaves its search algorithm open keeps to the one that it began with."""

import json

import pytest
import yaml

pytestmark = pytest.mark.slow


def test_a_run_says_which_algorithm_auto_is_and_keeps_to_it_when_it_is_extended(joined):
    study = joined.write_study(
        "open",
        # One architecture: eleven trials trace one graph.
        space={
            "family": "sequential",
            "params": {"num_blocks": 1, "filters": 4, "learning_rate": {"float": [1e-3, 1e-1], "log": True}},
        },
        resources={"max_concurrent": 1},
        search={"algorithm": "auto", "trials": 2},
        schedule={"algorithm": "none", "max_epochs": 1},
        export={"top": 0},
    )
    why = "sobol, as 2 trials are too few to learn from, and its points fill the space evenly"
    output = joined.run("run", study)
    assert f"search: {why}\n" in output
    assert f"search  {why}\n" in output
    run = joined.folder / "runs" / "open"
    assert yaml.safe_load((run / "study.yaml").read_text())["search"]["algorithm"] == "sobol"
    # Eleven trials from the start would be another algorithm's.
    assert '"search": "gp, as' in joined.run("validate", study, "--json", "--set", "search.trials=11")
    joined.run("resume", "runs/open", "--set", "search.trials=11")
    assert len(joined.records("open", "trial_proposed")) == 11
    assert yaml.safe_load((run / "study.yaml").read_text())["search"]["algorithm"] == "sobol"
    assert json.loads(joined.run("status", "runs/open", "--json"))["search"] == why
    assert "earlier trials were proposed by" in joined.run(
        "resume", "runs/open", "--set", "search.algorithm=auto", code=2
    )
