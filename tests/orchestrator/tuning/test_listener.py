"""Every event of Ray Tune is in the journal before the scheduler or searcher sees it, once, and none after a pause."""

import inspect
import pickle
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import open_journals
import pyarrow.parquet as pq
import pytest
from open_journals import WORKER, proposed
from ray._private.dict import flatten_dict
from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from orchestrator.early_stopping.deciders import DECIDERS
from orchestrator.errors import StudyFailedError, StudyPausedError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    TrialFailed,
    TrialProposed,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.trial import TrialState
from orchestrator.results.writer import TableWriter
from orchestrator.runs.paths import RunFolder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.sections import Resources
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.schedulers import RecordedScheduler, make_scheduler
from orchestrator.tuning.searcher import VariantSearcher
from orchestrator.tuning.worker_generations import GROWTH_MB, WorkerGenerations
from search_spaces import space_from_mapping
from trainables.reports import FailureKind


def spec(*, algorithm: str = "asha", max_size: int = 4) -> StudySpec:
    space = space_from_mapping({"family": "sequential", "params": {"num_blocks": {"int": [1, max_size]}}})
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 7,
            "data": {"source": "digits"},
            "space": space,
            "search": {"algorithm": "random", "trials": 3},
            "schedule": {"algorithm": algorithm, "max_epochs": 3, "grace_epochs": 1},
        }
    )


@dataclass(kw_only=True)
class Rig:
    listener: TuneListener
    journal: open_journals.Rig

    @property
    def folder(self) -> RunFolder:
        return self.journal.folder

    @property
    def recorder(self) -> Recorder:
        return self.listener.recorder

    @property
    def told(self) -> list[Record]:
        """What is in the file now, after the opening and the first proposal."""
        return self.journal.records


@pytest.fixture(name="rig")
def listening_rig(rig: open_journals.Rig) -> Rig:
    return Rig(listener=TuneListener(rig.recorder), journal=rig)


def result(epoch: int, *, value: float = 0.5, trial: str = "t0000") -> dict[str, Any]:
    metrics = {"val_accuracy": value}
    report = {
        "epoch": epoch,
        "metrics": metrics,
        "train_seconds": 1.0,
        "images_per_second": 1.0,
        "is_last": epoch == 3,
    }
    return {"trial": trial, "worker": WORKER, **metrics, "epoch": epoch, "report": report, "done": epoch == 3}


def failure(kind: FailureKind = FailureKind.DIVERGED, *, details: str = "Traceback: ...") -> dict[str, Any]:
    told = {"kind": kind, "reason": "the loss is nan", "details": details}
    return {"trial": "t0000", "worker": WORKER, "failure": told, "done": True}


def tune_trial(name: str = "t0000", *, num_failures: int = 1) -> Any:
    return SimpleNamespace(config={"trial": name}, trial_id=f"tune-{name}", num_failures=num_failures)


def test_report_is_in_the_file_when_the_stopper_returns(rig: Rig) -> None:
    assert rig.listener("tune-1", result(1)) is False
    assert rig.told == [EpochReported(trial="t0000", report=result(1)["report"], worker=WORKER, at=101.0)]
    assert rig.recorder.trial("t0000").epoch == 1
    assert rig.listener.stop_all() is False


def test_ray_tune_asks_the_stopper_before_scheduler_searcher_and_callbacks() -> None:
    # That a trial is complete is told later, when the decision about its result is carried out.
    code = inspect.getsource(TuneController._process_trial_result)
    asked = code.index("self._stopper(")
    for later in (
        "self._scheduler_alg.on_trial_result(",
        "self._search_alg.on_trial_result(",
        "self._callbacks.on_trial_result(",
    ):
        assert asked < code.index(later), later


def test_ray_tune_keeps_of_a_result_what_it_needs_and_no_more(rig: Rig) -> None:
    told = {**result(1), "config": {"trial": "t0000"}, "training_iteration": 1}
    before = {name: told[name] for name in ("trial", "epoch", "val_accuracy", "done", "training_iteration")}
    rig.listener.on_trial_result(1, [], tune_trial(), told)
    assert told == before
    # Callbacks come after all that read the whole result, and before Ray Tune keeps it.
    code = inspect.getsource(TuneController._process_trial_result)
    order = [
        "self._search_alg.on_trial_result(",
        "self._callbacks.on_trial_result(",
        "trial.update_last_result(result)",
    ]
    assert [code.index(step) for step in order] == sorted(code.index(step) for step in order)


def test_report_stands_before_the_stop_that_follows_from_it(rig: Rig) -> None:
    rig.recorder.append(proposed(1))
    scheduler = make_scheduler(spec(), rig.listener)
    for name in ("t0000", "t0001"):
        scheduler.on_trial_add(None, tune_trial(name))
    for name, value in (("t0000", 0.9), ("t0001", 0.1)):
        told = result(1, value=value, trial=name)
        rig.listener(f"tune-{name}", told)
        scheduler.on_trial_result(None, tune_trial(name), told)
    assert [type(record) for record in rig.told[1:]] == [EpochReported, EpochReported, TrialStopped]


def test_each_start_of_a_worker_has_a_later_number_also_after_a_pause_was_requested(rig: Rig) -> None:
    searcher = VariantSearcher(Proposer(spec()), listener=rig.listener, num_trials=3)
    configs = [searcher.suggest(f"tune-{number}") for number in range(2)]
    assert [config["start"] for config in configs if isinstance(config, dict)] == [1, 2]
    trial = tune_trial()
    trial.config = configs[0]
    rig.listener.on_trial_recover(0, [], trial)
    assert trial.config["start"] == 3
    rig.recorder.pause_requested.set()
    rig.listener.on_trial_recover(0, [], trial)
    assert trial.config["start"] == 4


def test_ray_tune_gives_a_trial_to_another_worker_only_after_its_callbacks_heard_of_the_loss() -> None:
    recover = inspect.getsource(TuneController._try_recover) + inspect.getsource(TuneController._requeue_trial)
    assert "_schedule_trial_actor" not in recover
    code = inspect.getsource(TuneController._process_trial_failure)
    assert code.index("self._try_recover(") < code.index("self._callbacks.on_trial_recover(")
    # The configuration is read when the worker is started or reset.
    assert "trial.config" in inspect.getsource(TuneController._maybe_reuse_cached_actor)


@pytest.mark.parametrize("repeated", [1, 2], ids=["an older epoch", "the last epoch"])
def test_epoch_that_was_told_before_is_dropped(rig: Rig, repeated: int) -> None:
    for epoch in (1, 2, repeated):
        assert rig.listener("tune-1", result(epoch, value=0.1 * epoch)) is False
    assert [record.report["epoch"] for record in rig.told if isinstance(record, EpochReported)] == [1, 2]
    rig.listener("tune-1", result(3))
    assert rig.recorder.trial("t0000").state is TrialState.COMPLETED


def test_failure_is_recorded_with_its_traceback_in_a_file(rig: Rig) -> None:
    assert rig.listener("tune-1", failure(details="Traceback: ü\n")) is False
    failed = TrialFailed(trial="t0000", kind="diverged", reason="the loss is nan", worker=WORKER, at=101.0)
    assert rig.told == [failed]
    assert (rig.folder.root / "failures" / "t0000.txt").read_text(encoding="utf-8") == "Traceback: ü\n"


def test_failure_without_details_writes_no_file(rig: Rig) -> None:
    rig.listener("tune-1", failure(FailureKind.INFEASIBLE, details=""))
    assert rig.recorder.trial("t0000").state is TrialState.INFEASIBLE
    assert not rig.folder.failures.exists()


def test_worker_is_followed_from_start_over_loss_to_giving_up(rig: Rig) -> None:
    rig.listener.on_trial_start(0, [], tune_trial())
    rig.listener.on_trial_recover(1, [], tune_trial(num_failures=1))
    rig.listener.on_trial_start(2, [], tune_trial())
    assert rig.recorder.trial("t0000").state is TrialState.RUNNING
    rig.listener.on_trial_error(3, [], tune_trial())
    assert [type(record) for record in rig.told] == [TrialStarted, WorkerLost, TrialStarted, TrialFailed]
    trial = rig.recorder.trial("t0000")
    assert trial.losses[0].reason == "its worker died; it goes on from its last checkpoint (retry 1 of 3)"
    assert (trial.state, trial.failure and trial.failure.kind) == (TrialState.FAILED, "worker_lost")
    assert trial.reason.startswith("its worker died 2 times; resources.retries allows 3")


def test_ended_trial_is_not_given_up_and_a_stop_is_told_once(rig: Rig) -> None:
    rig.listener("tune-1", result(1))
    rig.recorder.stop_trial("t0000", epoch=1, reason="weak")
    rig.recorder.stop_trial("t0000", epoch=1, reason="weak")
    rig.listener.give_up("t0000")
    assert [type(record) for record in rig.told] == [EpochReported, TrialStopped]


def test_nothing_is_recorded_after_a_pause_is_requested(rig: Rig) -> None:
    rig.recorder.pause_requested.set()
    assert rig.listener("tune-1", result(1)) is False
    rig.listener("tune-1", failure())
    rig.recorder.stop_trial("t0000", epoch=1, reason="weak")
    rig.listener.give_up("t0000")
    rig.listener.on_trial_start(0, [], tune_trial())
    rig.listener.on_trial_recover(0, [], tune_trial())
    rig.listener.on_trial_error(0, [], tune_trial())
    assert rig.told == []
    assert not rig.folder.failures.exists()


def test_pause_ends_ray_tunes_loop_at_its_next_step(rig: Rig) -> None:
    rig.listener.on_step_begin(0, [])
    rig.recorder.pause_requested.set()
    with pytest.raises(StudyPausedError):
        rig.listener.on_step_begin(1, [])


@pytest.mark.parametrize("algorithm", DECIDERS)
def test_what_ray_tune_pickles_carries_no_content(rig: Rig, algorithm: str) -> None:
    study = spec(algorithm=algorithm)
    searcher = VariantSearcher(Proposer(study), listener=rig.listener, num_trials=3)
    for item in (rig.listener, searcher, make_scheduler(study, rig.listener)):
        data = pickle.dumps(item)
        assert len(data) < 200
        assert vars(pickle.loads(data)) == {}


def test_searcher_hands_out_unfinished_trials_first_then_new_ones(rig: Rig) -> None:
    rig.listener("tune-1", result(1))
    proposer = Proposer(spec())
    proposer.remember(rig.recorder.state.trials.values())
    searcher = VariantSearcher(proposer, listener=rig.listener, num_trials=3)
    configs = [searcher.suggest(f"tune-{number}") for number in range(4)]
    assert [isinstance(config, dict) and (config["trial"], config["first_epoch"]) for config in configs] == [
        ("t0000", 2),
        ("t0001", 1),
        ("t0002", 1),
        False,
    ]
    assert configs[3] == Searcher.FINISHED
    assert [record.trial for record in rig.told[1:] if isinstance(record, TrialProposed)] == ["t0001", "t0002"]


def test_searcher_is_finished_when_the_space_is_spent(rig: Rig) -> None:
    proposer = Proposer(spec(max_size=1))
    proposer.remember(rig.recorder.state.trials.values())
    searcher = VariantSearcher(proposer, listener=rig.listener, num_trials=3)
    assert isinstance(searcher.suggest("a"), dict)
    assert searcher.suggest("b") == Searcher.FINISHED


def test_searcher_gives_up_a_trial_that_ray_tune_calls_an_error(rig: Rig) -> None:
    proposer = Proposer(spec())
    proposer.remember(rig.recorder.state.trials.values())
    searcher = VariantSearcher(proposer, listener=rig.listener, num_trials=1)
    searcher.suggest("a")
    told = result(1)
    rig.listener("a", told)
    searcher.on_trial_result("a", told)
    searcher.on_trial_complete("a", error=True)
    assert rig.recorder.trial("t0000").state is TrialState.FAILED


def test_trial_that_a_replayed_rung_ends_is_told_to_the_proposer_as_ended(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.tuning import experiment as tuning

    recorder = rig.recorder
    recorder.append(proposed(1))
    recorder.append(SessionStarted(driver_pid=1, slots=1, at=0.0))
    # The driver died between this report and the stop that followed from it.
    for name, value in (("t0000", 0.9), ("t0001", 0.1)):
        rig.listener(name, result(1, value=value, trial=name))
    ended: list[str] = []
    monkeypatch.setattr(Proposer, "end_trial", lambda _self, trial: ended.append(trial.name))
    monkeypatch.setattr(tuning.tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(tuning.tune, "Tuner", lambda *_, **options: SimpleNamespace(**options))
    made = tuning.Tuning(spec(), worker=None, recorder=recorder, num_concurrent=1)  # type: ignore[arg-type]
    assert recorder.trial("t0001").state is TrialState.STOPPED
    assert ended == ["t0001"]
    config = made._tuner.tune_config
    assert isinstance(config.scheduler, RecordedScheduler)
    handed_out = config.search_alg.suggest("a")
    assert handed_out["trial"] == "t0000"
    assert TrialScheduler.STOP not in handed_out


@pytest.mark.parametrize("kind", [FailureKind.STORAGE_ERROR, FailureKind.DATA_ERROR])
def test_failure_of_the_machine_pauses_the_study_and_leaves_the_trial_unfinished(rig: Rig, kind: FailureKind) -> None:
    with pytest.raises(StudyFailedError, match=r"the loss is nan; mend that, then `convfleet resume"):
        rig.listener("tune-1", failure(kind))
    assert rig.told == []
    assert not rig.recorder.trial("t0000").has_ended


def test_study_whose_first_trials_all_fail_alike_stops_and_names_the_traceback(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.recorder.append(proposed(number))
    told = failure(FailureKind.CODE_ERROR)
    rig.listener("tune-0", told)
    rig.listener("tune-1", {**told, "trial": "t0001"})
    with pytest.raises(StudyFailedError, match=r"first 3 trials all failed with: the loss is nan; see .*t0000\.txt"):
        rig.listener("tune-2", {**told, "trial": "t0002"})
    assert [record.trial for record in rig.told if isinstance(record, TrialFailed)] == ["t0000", "t0001", "t0002"]
    rig.listener("tune-3", {**told, "trial": "t0003"})  # a study that was resumed all the same goes on


@pytest.mark.parametrize(
    ("params", "next_step"),
    [
        ({"filters": 8}, r"mend that, then `convfleet resume "),
        ({"source": "nets=12"}, "mend that, then run the study anew"),
    ],
)
def test_study_of_broken_code_of_the_users_is_run_anew(rig: Rig, params: dict[str, Any], next_step: str) -> None:
    for number in (1, 2, 3):
        rig.recorder.append(replace(proposed(number), variant={"family": "custom", "params": params, "seed": 7}))
    for number in (1, 2):
        rig.listener(f"tune-{number}", {**failure(FailureKind.CODE_ERROR), "trial": f"t000{number}"})
    with pytest.raises(StudyFailedError, match=next_step):
        rig.listener("tune-3", {**failure(FailureKind.CODE_ERROR), "trial": "t0003"})


def test_study_goes_on_when_one_of_its_first_trials_fails_otherwise(rig: Rig) -> None:
    for number in (1, 2):
        rig.recorder.append(proposed(number))
    rig.listener("tune-0", failure(FailureKind.CODE_ERROR))
    rig.listener("tune-1", {**failure(FailureKind.DIVERGED), "trial": "t0001"})
    rig.listener("tune-2", {**failure(FailureKind.CODE_ERROR), "trial": "t0002"})
    assert len(rig.told) == 5


def test_traceback_that_cannot_be_written_does_not_lose_the_failure(rig: Rig) -> None:
    rig.folder.failures.write_text("a file in the way")
    rig.listener("tune-1", failure())
    assert rig.recorder.trial("t0000").state is TrialState.FAILED


@pytest.mark.parametrize("is_last", [False, True])
def test_worker_that_grew_is_seen_as_ray_tune_tells_of_it(rig: Rig, is_last: bool) -> None:
    generations = WorkerGenerations(Resources(), num_concurrent=1)
    searcher = VariantSearcher(Proposer(spec()), listener=rig.listener, num_trials=3, generations=generations)
    configuration = searcher.suggest("tune-1")
    assert isinstance(configuration, dict)
    assert configuration["generation"] == 0
    for epoch, memory_mb in enumerate((300.0, 301.0 + GROWTH_MB), start=1):
        told = {**result(epoch), "worker": {**WORKER, "memory_mb": memory_mb}}
        rig.listener("tune-1", told)
        if epoch == 1 or not is_last:
            searcher.on_trial_result("tune-1", flatten_dict(told))
    if is_last:
        # Ray Tune keeps a result that ends its trial from searchers.
        searcher.on_trial_complete("tune-1", flatten_dict(told))
    following = searcher.suggest("tune-2")
    assert isinstance(following, dict)
    assert following["generation"] == 1


def test_half_characters_of_an_error_are_spelled_out_everywhere(rig: Rig) -> None:
    name = "caf\udce9.h5"
    told = failure(details=f"OSError: {name}")
    told["failure"]["reason"] = f"no such file: {name}"
    told["notes"] = [{"kind": "micro_batches", "text": name}]
    rig.listener("tune-1", told)
    assert rig.recorder.trial("t0000").reason == r"no such file: caf\udce9.h5"
    assert rig.folder.failure("t0000").read_text(encoding="utf-8") == r"OSError: caf\udce9.h5"
    # As journals have it that were written before.
    rig.recorder.append(proposed(1))
    rig.recorder.append(TrialFailed(trial="t0001", kind="code_error", reason=name, worker=WORKER, at=110.0))
    TableWriter(rig.folder, recorder=rig.recorder).write()
    table = pq.read_table(rig.folder.trials)
    assert table["reason"].to_pylist() == [r"no such file: caf\udce9.h5", r"caf\udce9.h5"]
