"""Exports that a session did not come to are made by the next one; those that a run has are not made again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.disk.free_space import study_places
from orchestrator.disk.space_watch import SpaceWatch
from orchestrator.errors import ExportError
from orchestrator.export import exports, retraining
from orchestrator.export.exports import Exports, lacks_models
from orchestrator.export.tasks import CheckpointLostError
from orchestrator.journal.file import Journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import ModelExported, StudyExtended
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.study.sections import Export
from trainables.retraining.requests import RetrainingAnswer
from trainables.specs.export import FILES, ExportRequest, ExportResult
from trainables.specs.worker import DeviceSpec

START = 1_760_000_000.0


class Killed(BaseException):
    """SIGKILL, as seen from inside."""


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    """What workers were asked to export: (rank, trial, epoch)."""
    asked: list[tuple[int, str, int]] = []

    def run_exports(requests: Sequence[ExportRequest]) -> Iterator[ExportResult]:
        for request in requests:
            asked.append((request.rank, request.trial, request.epoch))
            for name in request.formats:
                (Path(request.folder) / FILES[name]).mkdir(parents=True, exist_ok=True)
            yield ExportResult(rank=request.rank, trial=request.trial, folder=request.folder, test_metrics={})

    monkeypatch.setattr(exports, "run_exports", run_exports)
    # These exports are folders without anything in them.
    monkeypatch.setattr(exports, "damage_of", lambda folder: "")
    return asked


@pytest.fixture
def make_exports(tmp_path: Path, make_sweep: Any) -> Iterator[Callable[[], Exports]]:
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    places = study_places(folder, cache=tmp_path, has_own_ray=False)
    with Journal(folder.journal) as journal:
        records = [record for record in make_sweep() if not isinstance(record, ModelExported)]
        for record in records:
            journal.append(record)
        state = fold(records)

        def make() -> Exports:
            unused: Any = object()
            return Exports(
                folder=folder,
                recorder=Recorder(journal, state=state, folder=folder, clock=lambda: START + 600),
                worker=unused,
                num_concurrent=1,
                space=SpaceWatch(load_study("quickstart"), folder=folder, places=places, notify=lambda text: None),
                notify=lambda text: None,
            )

        yield make


def best(top: int = 3, *formats: str) -> Export:
    return Export.model_validate({"top": top, "formats": formats or ("keras",)})


def test_session_that_dies_between_exports_leaves_the_rest_to_the_next(
    make_exports: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_exports()
    run_exports = exports.run_exports

    def die_after_one(requests: Sequence[ExportRequest]) -> Iterator[Any]:
        yield from run_exports(requests[:1])
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(exports, "run_exports", die_after_one)
        with pytest.raises(Killed):
            session.make(best())
    again = make_exports()
    again.make(best())
    assert [rank for rank, _, _ in exported] == [1, 2, 3]
    assert again.make(best()) == []
    assert [item.epoch for item in again.recorder.state.exports] == [epoch for _, _, epoch in exported]


def test_more_models_or_formats_are_exported_and_nothing_else(make_exports: Any, exported: list[Any]) -> None:
    make_exports().make(best(1))
    make_exports().make(best(2))
    assert [rank for rank, _, _ in exported] == [1, 2]
    make_exports().make(best(1, "saved_model"))
    assert [rank for rank, _, _ in exported] == [1, 2, 1]


def test_a_model_that_is_exported_again_keeps_the_formats_that_it_has(
    make_exports: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    run_exports = exports.run_exports

    def noted(requests: Sequence[ExportRequest]) -> Iterator[Any]:
        asked.extend(request.formats for request in requests)
        yield from run_exports(requests)

    monkeypatch.setattr(exports, "run_exports", noted)
    make_exports().make(best(1, "keras", "saved_model"))
    make_exports().make(best(2, "keras"), always=True)
    # Of another model, there is nothing to keep.
    assert asked == [("keras", "saved_model"), ("keras", "saved_model"), ("keras",)]
    monkeypatch.setattr(exports, "damage_of", lambda folder: "its files were changed")
    make_exports().make(best(1, "saved_model"))
    assert asked[3:] == [("saved_model", "keras")]
    monkeypatch.setattr(Export, "format_problem", staticmethod(lambda name: "needs a package"))
    make_exports().make(best(1, "saved_model"))
    assert asked[4:] == [("saved_model",)]


def test_model_of_a_better_epoch_replaces_the_one_of_a_shorter_study(
    make_exports: Any, exported: list[Any], make_reported: Any
) -> None:
    session: Exports = make_exports()
    session.make(best(1))
    (rank, name, epoch) = exported[0]
    number = session.recorder.trial(name).number
    session.recorder.append(
        StudyExtended(study_id="i", max_epochs=12, num_trials=14, change="", study="", replaces="", at=START + 700)
    )
    told = make_reported(number, 10, at=START + 701, value=0.99)
    session.recorder.append(replace(told, report={**told.report, "epoch": 10}))
    # Not while it is unfinished: the leaderboard has ended trials only.
    for later in (11, 12):
        told = make_reported(number, later, at=START + 702, value=0.5)
        session.recorder.append(replace(told, report={**told.report, "is_last": later == 12}))
    session.make(best(1))
    assert exported[1] == (rank, name, 10)
    assert epoch != 10


def test_formats_that_were_left_out_are_an_error_after_all_models_were_made(
    make_exports: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_exports = exports.run_exports

    def leave_out(requests: Sequence[ExportRequest]) -> Iterator[Any]:
        for number, result in enumerate(run_exports(requests)):
            yield (
                ExportError("t9: the worker died")
                if number == 1
                else replace(result, problems=[f"{number}: model.keras"])
            )

    monkeypatch.setattr(exports, "run_exports", leave_out)
    session = make_exports()
    with pytest.raises(ExportError, match=r"^0: model.keras\nt9: the worker died\n2: model.keras$") as caught:
        session.make(best())
    assert [result.rank for result in caught.value.made] == [1, 3]
    assert [item.rank for item in session.recorder.state.exports] == [1, 3]


def lost_once(monkeypatch: pytest.MonkeyPatch, *, answers: Sequence[Any]) -> list[Any]:
    """Lets the checkpoint of t0003 be lost until a worker answers; returns what workers were asked to train again."""
    asked: list[Any] = []
    run_exports = exports.run_exports

    def run(requests: Sequence[ExportRequest]) -> Iterator[Any]:
        for request in requests:
            if request.trial == "t0003" and not any(
                isinstance(item, RetrainingAnswer) for item in answers[: len(asked)]
            ):
                yield CheckpointLostError("t0003: its best checkpoint cannot be exported: x: is damaged", trial="t0003")
            else:
                yield from run_exports([request])

    def train_again(function: Any, requests: Sequence[Any], *, has_gpus: bool) -> Iterator[Any]:
        assert has_gpus
        asked.extend(requests)
        yield None
        yield from answers

    monkeypatch.setattr(exports, "run_exports", run)
    monkeypatch.setattr(retraining, "run_in_workers", train_again)
    monkeypatch.setattr(retraining.ray, "cluster_resources", lambda: {"CPU": 2.0})
    return asked


def worker(gpus: float = 0.0) -> Any:
    return SimpleNamespace(device=DeviceSpec(cpus=1, gpus=gpus))


def test_model_whose_checkpoint_is_lost_is_exported_after_its_trial_was_trained_again(
    make_exports: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session: Exports = replace(make_exports(), worker=worker())
    said: list[str] = []
    session = replace(session, notify=said.append)
    epoch = session.recorder.trial("t0003").best_report(**session.recorder.state.header.ranking).epoch  # type: ignore[union-attr]
    asked = lost_once(monkeypatch, answers=[RetrainingAnswer(trial="t0003", epoch=epoch, from_epoch=1)])
    made = session.make(best())
    assert "t0003" in [result.trial for result in made]
    assert [(item.trial, item.epoch, item.parent) for item in asked] == [("t0003", epoch, "")]
    text = f"its checkpoint of epoch {epoch} is damaged; trained again from epoch 1"
    assert said[-1] == f"t0003: {text}"
    assert [note.text for note in session.recorder.trial("t0003").notes] == [text]
    assert not lacks_models(session.recorder.state, export=best(), folder=session.folder)


@pytest.mark.parametrize(
    ("gpus", "reason"),
    [
        (0.0, "trained again from epoch 1, its epoch 3 has val_loss 2 where the journal has 1"),
        (1.0, "its trial trained on 1 GPU, and without them it cannot be trained again to the same bits"),
    ],
)
def test_model_that_cannot_be_had_again_is_an_error_with_both_reasons_and_the_others_are_made(
    make_exports: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch, gpus: float, reason: str
) -> None:
    session: Exports = replace(make_exports(), worker=worker(gpus))
    lost_once(monkeypatch, answers=[CheckpointLostError(reason, trial="t0003")])
    with pytest.raises(ExportError) as caught:
        session.make(best())
    assert str(caught.value) == f"t0003: its best checkpoint cannot be exported: x: is damaged; {reason}"
    assert len(caught.value.made) == len(exported) > 0
    assert "t0003" not in [result.trial for result in caught.value.made]
    assert lacks_models(session.recorder.state, export=best(), folder=session.folder)


def test_run_lacks_a_model_whose_folder_or_format_is_gone_and_none_that_its_study_does_not_ask_for(
    make_exports: Any, exported: list[Any]
) -> None:
    session: Exports = make_exports()
    state, folder = session.recorder.state, session.folder
    assert lacks_models(state, export=best(1), folder=folder)
    assert not lacks_models(state, export=best(0), folder=folder)
    session.make(best(1))
    assert not lacks_models(state, export=best(1), folder=folder)
    assert lacks_models(state, export=best(1, "saved_model"), folder=folder)
    assert lacks_models(state, export=best(2), folder=folder)
