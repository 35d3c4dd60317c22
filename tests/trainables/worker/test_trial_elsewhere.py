"""A trial whose checkpoints are kept elsewhere as well: what it notes, and when it waits."""

import pytest

from search_spaces import Variant
from trainables.checkpoints.store import CheckpointStore
from trainables.reports import NoteKind
from trainables.specs.worker import TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun


@pytest.fixture
def run(tmp_path):
    training = TrainingSpec(max_epochs=2, metric="val_accuracy", mode="max")
    spec = WorkerSpec(
        dataset=None,
        data=None,
        split_seed=1,
        training=training,
        device=None,
        checkpoints=str(tmp_path / "here"),
        remote=f"file://{tmp_path}/elsewhere",
    )
    variant = Variant(family="sequential", params={}, seed=1)
    return TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=spec)


def test_trial_notes_once_that_its_checkpoints_are_on_its_node_alone(run, monkeypatch):
    monkeypatch.setattr(CheckpointStore, "wait_for_uploads", lambda self: "s3://bucket: nobody answers")
    run.wait_for_uploads()
    run.wait_for_uploads()
    (note,) = run.take_notes()
    assert note.kind is NoteKind.CHECKPOINT_HERE_ONLY
    assert note.text.endswith("alone for a while: s3://bucket: nobody answers")


def test_trial_whose_checkpoints_are_elsewhere_notes_nothing(run):
    run.wait_for_uploads()
    assert run.take_notes() == []


def test_report_that_ends_a_trial_waits_for_its_checkpoint_elsewhere(run, monkeypatch):
    from dataclasses import replace

    from trainables.reports import EpochReport

    report = EpochReport(epoch=1, metrics={}, train_seconds=1.0, images_per_second=1.0)

    class Told:
        epoch = 2
        history = (report, replace(report, epoch=2, is_last=True))

    waited = []
    monkeypatch.setattr(CheckpointStore, "wait_for_uploads", lambda self: waited.append(1) or "")
    monkeypatch.setattr(run, "_training", Told())
    assert (run.step().epoch, waited) == (1, [])
    assert (run.step().epoch, waited) == (2, [1])


def test_trial_on_a_node_without_run_folder_and_storage_is_not_trained(run, monkeypatch):
    from dataclasses import replace

    from trainables.reports import FailureKind

    monkeypatch.setattr("trainables.sharing.own_folder._LOOK_SECONDS", 0.0)
    monkeypatch.setattr("trainables.worker.trial_run.set_up_devices", lambda *_, **__: None)
    run.spec = replace(run.spec, remote=None, mark="/nowhere/mark")
    failure = run.step()
    # Of the node, not of the variant: the trial stays unfinished, and the study can be resumed.
    assert failure.kind is FailureKind.DATA_ERROR
    assert "does not share the run folder" in failure.reason
