"""Ray Tune forgets trials that have ended and left their workers, and no others; on its own classes, without a Ray."""

import gc
import inspect
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray.air._internal import usage
from ray.train._internal.storage import StorageContext
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial as TuneTrial

from orchestrator.journal.study_state import StudyState
from orchestrator.tuning.schedulers import RecordedScheduler
from orchestrator.tuning.tune_internals import NoTuneProgress, ReadyTogether, forget_ended, trackers_not_imported


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TuneController:
    """Returns a controller of trials by status, one of them ended and still with its worker."""
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "1")
    monkeypatch.setattr("ray.train._internal.storage._get_ray_train_session_dir", lambda: str(tmp_path / "session"))
    storage = StorageContext(storage_path=str(tmp_path), experiment_dir_name="study")
    made = TuneController(storage=storage, checkpoint_period=10**9)
    for name in ("pending", "running", "paused", "terminated", "error", "terminated-at-work"):
        trial = TuneTrial("none", stub=True, trial_id=name, storage=storage, trial_dirname_creator=lambda t: t.trial_id)
        made.add_trial(trial)
        trial.init_local_path()
        if name != "pending":
            made._set_trial_status(trial, name.partition("-")[0].upper())
        if name == "terminated-at-work":
            made._trial_to_actor[trial] = object()
    # As snapshots and steps leave them.
    made._get_trial_checkpoints()
    made._pending_trials_list = list(made._pending_trials)
    return made


def names(trials: Any) -> list[str]:
    return sorted(trial.trial_id for trial in trials)


def test_ended_trials_are_forgotten_once_they_have_left_their_workers(controller: TuneController) -> None:
    ended = [weakref.ref(trial) for trial in controller.get_trials() if trial.trial_id in ("terminated", "error")]
    folders = [Path(trial().local_path) for trial in ended]
    known = controller.get_trials()
    forget_ended(controller)
    kept = ["paused", "pending", "running", "terminated-at-work"]
    assert names(controller.get_trials()) == names(known) == kept
    assert names(controller.get_live_trials()) == kept
    assert sorted(controller._get_trial_checkpoints()) == kept
    assert not any(folder.exists() for folder in folders)
    gc.collect()
    assert [trial() for trial in ended] == [None, None]
    controller._trial_to_actor.clear()
    forget_ended(controller)
    assert names(controller.get_trials()) == ["paused", "pending", "running"]


def test_scheduler_chooses_as_before_and_lets_tune_forget(controller: TuneController) -> None:
    listener: Any = SimpleNamespace(recorder=SimpleNamespace(state=StudyState()))
    scheduler = RecordedScheduler(None, metric="val_accuracy", listener=listener)  # type: ignore[arg-type]
    wrapped = TrialRunnerWrapper(controller, None, runner_whitelist_attr={"get_trials"})
    chosen = [scheduler.choose_trial_to_run(wrapped)]
    controller._set_trial_status(chosen[0], "RUNNING")
    chosen.append(scheduler.choose_trial_to_run(wrapped))
    assert [trial.trial_id for trial in chosen if trial is not None] == ["pending", "paused"]
    assert "terminated" not in names(controller.get_trials())
    assert type(controller._actor_manager) is ReadyTogether


def test_tunes_own_progress_holds_no_trials(controller: TuneController, capsys: pytest.CaptureFixture[str]) -> None:
    progress, trial = NoTuneProgress(), controller.get_trials()[0]
    empty = repr(vars(progress))
    for told in (progress.on_trial_result, progress.on_trial_complete, progress.on_trial_error):
        told(iteration=1, trials=[trial], trial=trial, result={"done": True})
    assert repr(vars(progress)) == empty
    assert capsys.readouterr().out == ""


COUNT = """
import sys
from contextlib import nullcontext

from ray.air._internal import usage
from ray.tune.callback import Callback

from orchestrator.tuning.tune_internals import trackers_not_imported

with trackers_not_imported() if sys.argv[1] == "without" else nullcontext():
    usage.tag_callbacks([Callback()])
print(sorted(name for name in sys.modules if name.startswith("ray.air.integrations.")))
"""


def test_ray_tune_imports_every_tracker_unless_it_is_kept_from_it() -> None:
    # At an upgrade: where Ray Tune does without by itself, `trackers_not_imported` is no longer needed.
    assert "air_usage.tag_callbacks(" in inspect.getsource(tune.run)
    for how, is_imported in (("with", True), ("without", False)):
        command = [sys.executable, "-c", COUNT, how]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr[-3000:]
        assert ("ray.air.integrations.wandb" in result.stdout) == is_imported


def test_ray_tune_counts_callbacks_as_before_once_the_study_has_ended() -> None:
    before = usage.tag_callbacks
    with trackers_not_imported():
        assert usage.tag_callbacks is not before
    assert usage.tag_callbacks is before
