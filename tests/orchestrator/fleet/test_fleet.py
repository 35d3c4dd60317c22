"""The models of a run that an earlier commit made, as objects."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_exports import REAL_RUN

from orchestrator.cli.console import make_console
from orchestrator.errors import InputError, RunFolderError
from orchestrator.fleet.choosing import chosen, in_order, parse_where
from orchestrator.fleet.difference import difference_of
from orchestrator.fleet.fleet import models
from orchestrator.views.fleet.difference_view import print_difference

ROOT = Path(__file__).parents[3]
NAMES = ["t0000", "t0001", "t0002", "t0003", "t0004", "t0005"]
#: Lists, compares and looks at layers as a driver does, and says which heavy libraries that brought.
LOOKS = """
import json, sys
from orchestrator.fleet.fleet import models
fleet = models(sys.argv[1])
before = [len(list(fleet)), "trainables.inspecting.building" in sys.modules]
found = fleet.diff("t0000", "t0005")
heavy = sorted({"tensorflow", "keras", "ray", "pyarrow"} & set(sys.modules))
print(json.dumps({"before": before, "heavy": heavy, "diff": found.to_json()}))
"""


@pytest.fixture(scope="module")
def fleet():
    return models(REAL_RUN)


@pytest.fixture
def without_checkpoints(tmp_path):
    """The same run, of which only two trials have a checkpoint."""
    shutil.copytree(REAL_RUN, tmp_path / "run")
    for name in NAMES[1:5]:
        shutil.rmtree(tmp_path / "run" / "checkpoints" / name)
    return tmp_path / "run"


def test_a_fleet_is_iterated_asked_by_name_and_filtered(fleet):
    assert [model.name for model in fleet] == list(fleet.by_name) == NAMES
    assert fleet["t0003"] is fleet.by_name["t0003"]
    small = fleet.filter(lambda model: model.costs["parameters"] < 1000)
    assert ("t0000" in small, "t0005" in small, len(small)) == (False, True, 3)
    assert small["t0000"].name == "t0000"


def test_models_say_what_the_journal_and_the_disk_have(fleet):
    best = fleet["t0000"]
    assert (best.params["filters"], best.costs["parameters"], best.best_epoch) == (8, 1970, 6)
    assert (best.checkpoint.state, [item.rank for item in best.exports]) == ("whole", [1])
    assert best.curve("val_accuracy")[6] == best.metrics["val_accuracy"]
    told = json.loads(json.dumps(best.to_json()))
    assert (told["trial"], told["checkpoint"]) == ("t0000", {"state": "whole", "epoch": 6})


def test_an_unknown_trial_lists_what_there_is(fleet):
    with pytest.raises(RunFolderError, match=r"no trial is called 't009'; .*trials: t0000, t0001, .*t0005$"):
        fleet["t009"]


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (["parameters<=1000"], ["t0002", "t0003", "t0005"]),
        (["parameters <= 1e3 and val_accuracy>0.2"], ["t0005"]),
        (["family=residual"], ["t0001", "t0004"]),
        (["family!=residual", "optimizer = 'adam'"], ["t0000", "t0005"]),
        (["batch_norm=true"], ["t0000"]),
        (["param.filters==4", "num_blocks=2"], ["t0002", "t0003", "t0005"]),
        (["momentum>0"], ["t0001", "t0002", "t0003"]),
        (["momentum!=0"], ["t0001", "t0002", "t0003"]),
        (["exports>=1"], ["t0000", "t0005"]),
        (["trial=t0004"], ["t0004"]),
    ],
)
def test_conditions_choose_models(fleet, where, names):
    assert [model.name for model in chosen(list(fleet), where=parse_where(where))] == names


@pytest.mark.parametrize(
    ("sign", "holds"), [(">=", True), ("<=", True), ("=", True), ("<", False), (">", False), ("!=", False)]
)
def test_a_share_equals_its_limit_though_metrics_are_float32(sign, holds):
    for share in (0.1, 0.7, 0.9):
        (condition,) = parse_where([f"val_accuracy{sign}{share}"])
        assert condition.holds({"val_accuracy": float(np.float32(share))}) is holds, share


def test_a_list_equals_its_text_however_it_is_written():
    for text in ("sizes=[3, 5]", "sizes=(3,5)", "sizes=3,5", "sizes!=3"):
        assert parse_where([text])[0].holds({"sizes": (3, 5)}), text
    assert not parse_where(["sizes=[3, 4]"])[0].holds({"sizes": (3, 5)})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("paramters<=3", "--where paramters<=3: no model has 'paramters'; did you mean 'parameters'"),
        ("nonsense", "--where nonsense: must be a name, one of <= >= < > = !=, and a value, got 'nonsense'"),
        ("family<3", "--where family<3: < compares numbers, got family, which is a text"),
        ("filters<few", "--where filters<few: < compares numbers, got 'few'"),
        ("batch_norm<=1", "--where batch_norm<=1: <= compares numbers, got batch_norm, which is yes or no"),
    ],
)
def test_a_wrong_condition_says_what_is_right(fleet, where, message):
    with pytest.raises(InputError) as raised:
        chosen(list(fleet), where=parse_where([where]))
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("val_accuracy", ["t0000", "t0005"]),
        ("val_loss", ["t0000", "t0005"]),
        ("parameters", ["t0002", "t0003"]),
        ("learning_rate", ["t0004", "t0001"]),
        ("family", ["t0001", "t0004"]),
        ("momentum", ["t0003", "t0002"]),
    ],
)
def test_the_best_come_first_and_models_without_the_value_last(fleet, by, names):
    header = fleet.run.state.header
    order = in_order(list(fleet), by=by, header=header)
    assert [model.name for model in order][:2] == names
    known = [by in model.values() for model in order]
    assert known == sorted(known, reverse=True)


def test_a_model_is_compared_with_another_one(fleet):
    for other, message in (("t0000", "t0000 is compared with itself"), ("t0077", "no trial is called 't0077'")):
        with pytest.raises(InputError, match=message):
            fleet.diff("t0000", other)
    with pytest.raises(InputError, match="split: must be one of validation, test, got 'train'"):
        fleet.diff("t0000", "t0001", split="train")


def test_trials_of_two_runs_are_compared_and_called_by_their_runs(fleet, without_checkpoints, capsys):
    other = models(without_checkpoints)["t0000"]
    found = difference_of(fleet["t0000"], other, quick=True)
    assert (found.params, found.num_equal_params) == ((), 8)
    print_difference(make_console(), found)
    assert f"{without_checkpoints}:t0000" in capsys.readouterr().out.replace("\n", "")


def test_a_missing_checkpoint_is_an_error_that_says_which_there_are(without_checkpoints):
    model = models(without_checkpoints)["t0003"]
    assert model.checkpoint.state == "missing"
    with pytest.raises(RunFolderError, match=r"t0003 has no checkpoint to load: .* with a checkpoint: t0000, t0005"):
        model.load()


@pytest.mark.slow
def test_a_driver_compares_models_without_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", LOOKS, str(REAL_RUN)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    told = json.loads(done.stdout)
    assert (told["before"], told["heavy"]) == ([6, False], [])
    found = told["diff"]
    assert (found["layers_problem"], found["mistakes_problem"]) == ("", "")
    counts = [sum(side["parameters"] for side in sides) for sides in layers_of(found)]
    assert counts == [1970, 666]
    (mistakes,) = found["mistakes"]
    fleet = models(REAL_RUN)
    for side, name in (("first", "t0000"), ("second", "t0005")):
        assert mistakes[f"{side}_mean"] == pytest.approx(1 - fleet[name].metrics["val_accuracy"], abs=1e-6)


def layers_of(found):
    return [[pair[side] for pair in found["layers"] if pair[side] is not None] for side in ("first", "second")]


@pytest.mark.slow
def test_a_loaded_model_predicts_what_its_export_predicts(fleet):
    import keras

    before = np.random.get_state()[1].tolist()
    loaded, fresh = fleet["t0000"].load(), fleet["t0000"].keras()
    assert np.random.get_state()[1].tolist() == before
    exported = keras.models.load_model(fleet["t0000"].exports[0].folder + "/model.keras")
    images = np.random.default_rng(1).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
    assert np.allclose(loaded(images), exported(images), atol=1e-5)
    assert not np.allclose(fresh(images), exported(images), atol=1e-2)
