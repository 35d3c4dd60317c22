"""A run's file for Optuna's tools: what Optuna reads from it is what the run's own journal has."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState
from random_spaces import spaces

from orchestrator.journal.records import StudyOpened, TrialFailed, TrialStopped
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, add_report
from orchestrator.results.optuna_journal import optuna_distribution_of, optuna_value, write_optuna_journal
from orchestrator.runs.paths import RunFolder, trial_name
from orchestrator.search.unit_cube import UnitCube
from search_spaces import Choice, Float, Int, SearchSpace, make_variant, space_from_mapping
from trainables.reports import EpochReport

SPACE = space_from_mapping(
    {
        "family": "sequential",
        "params": {
            "filters": {"choice": [[8, 16], [16, 32]]},
            "num_blocks": {"int": [1, 9], "step": 3},
            "dropout": {"float": [0, 0.3], "step": 0.1},
            "optimizer": {"choice": ["adam", "sgd"]},
            "momentum": {"float": [0.5, 0.9], "when": {"optimizer": "sgd"}},
            "learning_rate": {"float": [1e-4, 1e-1], "log": True},
            "stride": 1,
        },
    }
)
HOW = ("completed", "stopped", "failed", "running")


def state_of(space: SearchSpace, *, count: int, mode: str = "max") -> StudyState:
    metric = "val_accuracy" if mode == "max" else "val_loss"
    state = StudyState(
        opened=StudyOpened(
            schema=1, study="shown", seed=0, metric=metric, mode=mode, max_epochs=2, num_trials=count, at=1000.0
        )
    )
    cube = UnitCube(space)
    for number in range(count):
        point = [(0.37 * (number + 1) * (axis + 1)) % 1 for axis in range(len(cube.names))]
        variant = make_variant(space, cube.values_at(point), seed=number)
        trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=1000.0 + number)
        trial.started_at.append(1001.0 + number)
        how = HOW[number % 4]
        for epoch in range(1, 3 if how == "completed" else 2):
            metrics = {metric: 0.1 * number + 0.01 * epoch, "val_other": 1.0}
            report = EpochReport(
                epoch=epoch, metrics=metrics, train_seconds=0.5, images_per_second=1.0, is_last=epoch == 2
            )
            add_report(trial, report, at=1002.0 + number + epoch)
        if how == "stopped":
            trial.stop = TrialStopped(trial=trial.name, epoch=1, reason="weak", at=1010.0 + number)
        if how == "failed":
            trial.failure = TrialFailed(trial=trial.name, kind="diverged", reason="nan", at=1010.0 + number)
        state.trials[trial.name] = trial
    return state


def read(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.journal")))
    return optuna.load_study(study_name="shown", storage=storage)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_optuna_reads_the_trials_their_curves_and_their_best(tmp_path, mode):
    state = state_of(SPACE, count=12, mode=mode)
    write_optuna_journal(RunFolder(tmp_path), state=state, space=SPACE)
    study = read(tmp_path)
    ended = [trial for trial in state.trials.values() if trial.has_ended]
    assert [trial.user_attrs["trial"] for trial in study.trials] == [trial.name for trial in ended]
    by_state = {"completed": OptunaState.COMPLETE, "stopped": OptunaState.PRUNED, "failed": OptunaState.FAIL}
    for found, trial in zip(study.trials, ended, strict=True):
        assert found.state is by_state[trial.state.value]
        curve = {report.epoch: report.metrics[state.header.metric] for report in trial.reports}
        assert found.intermediate_values == curve
        values = trial.variant.params
        assert found.params.keys() == values.keys() - {"stride"}
        assert found.params["filters"] == repr(values["filters"])
        assert found.params["learning_rate"] == values["learning_rate"]
        assert found.user_attrs.get("reason", "") == (trial.reason or "")
        assert found.datetime_start.timestamp() == trial.started_at[0]
        assert found.datetime_complete.timestamp() == trial.ended_at
    completed = [trial for trial in ended if trial.state.value == "completed"]
    best = (max if mode == "max" else min)(completed, key=lambda trial: trial.number)
    assert study.best_trial.user_attrs["trial"] == best.name
    assert study.metric_names == [state.header.metric]
    assert study.user_attrs == {"metric": state.header.metric}
    assert sum(optuna.importance.get_param_importances(study).values()) == pytest.approx(1)


def test_optuna_knows_which_trials_keep_to_the_constraints(tmp_path):
    state = state_of(SPACE, count=16)
    # The values at the best epochs are 0.02 for t0000, 0.42 for t0004, and so on; nobody knows anybody's latency.
    state.opened = replace(state.header, constraints=["val_accuracy <= 0.5", "latency_ms <= 4"])
    write_optuna_journal(RunFolder(tmp_path), state=state, space=SPACE)
    trials = {trial.user_attrs["trial"]: trial for trial in read(tmp_path).trials}
    assert {tuple(trial.constraints) for trial in trials.values()} == {("val_accuracy <= 0.5", "latency_ms <= 4")}
    assert trials["t0004"].constraints == pytest.approx({"val_accuracy <= 0.5": -0.16, "latency_ms <= 4": 1.0})
    assert trials["t0008"].constraints["val_accuracy <= 0.5"] == pytest.approx(0.64)
    state.opened = replace(state.header, constraints=["val_accuracy <= 0.5"])
    write_optuna_journal(RunFolder(tmp_path), state=state, space=SPACE)
    # t0012 has the best value, and t0004 the best of those that keep to it.
    assert read(tmp_path).best_trial.user_attrs["trial"] == "t0004"


def test_the_file_is_written_anew_and_leaves_nothing_beside_it(tmp_path):
    for count in (4, 8):
        write_optuna_journal(RunFolder(tmp_path), state=state_of(SPACE, count=count), space=SPACE)
        assert len(read(tmp_path).trials) == count * 3 // 4
        assert [path.name for path in tmp_path.iterdir()] == ["optuna.journal"]
        # As all files of a run, it is its owner's.
        assert (tmp_path / "optuna.journal").stat().st_mode & 0o077 == 0


@settings(deadline=None, max_examples=40)
@given(spaces())
def test_every_value_of_every_space_is_one_of_its_distribution(space: SearchSpace) -> None:
    for parameter in space.parameters:
        distribution = optuna_distribution_of(parameter.domain)
        assert (distribution is None) == (parameter.domain.size == 1)
        if distribution is None:
            continue
        cube = UnitCube(SearchSpace([space.parameter("family"), type(parameter)(name="p", domain=parameter.domain)]))
        for place in (0.0, 0.3, 0.5, 0.999):
            value = cube.values_at([place] * len(cube.names))["p"]
            shown = optuna_value(value, distribution)
            assert distribution._contains(distribution.to_internal_repr(shown))
            assert distribution.to_external_repr(distribution.to_internal_repr(shown)) == shown


@pytest.mark.parametrize(
    ("domain", "choices"),
    [
        (Choice(["relu", "elu"]), ("relu", "elu")),
        (Choice([1, True]), ("1", "True")),
        (Choice([(8, 16), 8]), ("(8, 16)", "8")),
    ],
)
def test_options_that_optuna_cannot_tell_apart_or_show_are_texts(domain, choices):
    assert optuna_distribution_of(domain).choices == choices


def test_trials_that_a_budget_ended_are_complete_and_may_be_the_best(tmp_path) -> None:
    state = state_of(SPACE, count=8)
    cut = list(state.trials.values())[5]
    cut.stop = replace(cut.stop, reason="search.target: stopped after epoch 1, as t0005 reached val_accuracy 0.5")
    add_report(cut, replace(cut.reports[0], epoch=2, metrics={"val_accuracy": 0.99}), at=1020.0)
    write_optuna_journal(RunFolder(tmp_path), state=state, space=SPACE)
    study = read(tmp_path)
    assert study.best_trial.user_attrs["trial"] == "t0005"
    assert study.best_value == 0.99


def test_values_of_a_step_that_is_small_beside_them_are_written(tmp_path) -> None:
    fine = space_from_mapping({"family": "sequential", "params": {"learning_rate": {"float": [0, 100], "step": 1e-6}}})
    state = state_of(fine, count=8)
    write_optuna_journal(RunFolder(tmp_path), state=state, space=fine)
    for trial in read(tmp_path).trials:
        assert trial.params["learning_rate"] == state.trials[trial.user_attrs["trial"]].variant.params["learning_rate"]


def test_steps_end_at_their_last_value() -> None:
    assert optuna_distribution_of(Int(1, 9, step=3)).high == 7
    assert optuna_distribution_of(Float(0, 0.35, step=0.1)).high == pytest.approx(0.3)
