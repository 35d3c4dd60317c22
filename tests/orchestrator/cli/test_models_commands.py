"""The commands `models` and `diff` on a run that an earlier commit made; no model is built."""

import json
import shutil

import pytest
from made_exports import REAL_RUN
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.errors import InputError

RUN = str(REAL_RUN)


def printed(*words, wide="200"):
    result = CliRunner(env={"COLUMNS": wide}).invoke(app, list(words))
    assert (result.exit_code, result.exception) == (0, None)
    return result.stdout


def refused(*words):
    result = CliRunner().invoke(app, list(words))
    assert isinstance(result.exception, InputError)
    return str(result.exception)


def test_models_are_listed_sorted_and_chosen():
    lines = printed("models", RUN, "--sort", "val_accuracy", "--where", "parameters<=1000").splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["t0005", "t0003", "t0002"]
    assert lines[-1].split() == ["models", "3", "of", "6"]


def test_json_has_the_models_of_the_table():
    told = json.loads(printed("models", RUN, "--sort", "val_loss", "--json"))
    assert told[0]["trial"] == "t0000"
    assert (len(told), told[0]["costs"]["parameters"]) == (6, 1970)
    assert "layers" not in told[0]


def test_no_model_is_left_without_an_error():
    assert "0 of 6" in printed("models", RUN, "--where", "parameters<=1", "--sort", "val_loss", "--layers")


def test_a_name_to_sort_by_must_be_known():
    assert refused("models", RUN, "--sort", "val_acuracy").startswith(
        "--sort val_acuracy: no model has 'val_acuracy'; did you mean 'val_accuracy'?"
    )


def test_two_trials_are_compared_without_building_a_model():
    text = printed("diff", RUN, "t0000", "t0005", "--quick")
    assert "3 differ, 5 are equal" in text
    assert "val_loss: t0000 is ahead at 2 and t0005 at 1 of 3 common epochs; at epoch 2 t0000 takes the lead" in text
    assert "layers" not in text
    told = json.loads(printed("diff", RUN, "t0000", "t0005", "--quick", "--json"))
    assert [item["name"] for item in told["params"]] == ["filters", "batch_norm", "learning_rate"]
    assert told["mistakes"] == []


def test_a_trial_of_another_run_is_named_with_its_run(tmp_path):
    shutil.copytree(REAL_RUN, tmp_path / "other")
    told = json.loads(printed("diff", RUN, "t0000", f"{tmp_path}/other:t0000", "--quick", "--json"))
    assert [item["run"] for item in told["trials"]] == [RUN, f"{tmp_path}/other"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diff", RUN, "t0000", "t0042"], "no trial is called 't0042'"),
        (["diff", RUN, "t0000", "runs/none:t0001"], "runs/none: no such run folder"),
        (["diff", RUN, "t0000", "t0001", "--split", "train"], "split: must be one of validation, test, got 'train'"),
        (["models", "runs/none"], "runs/none: no such run folder"),
    ],
)
def test_what_is_not_there_is_an_error_in_words(words, message):
    assert message in refused(*words)
