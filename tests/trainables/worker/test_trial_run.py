"""One trial in a worker, without Ray: its reports, its failures told apart, and how it goes on."""

import errno
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context

from trainables.checkpoints.checkpoint import Checkpoint, checkpoint_folder, save_checkpoint, saved_epochs
from trainables.data.cache.prepare import prepare_dataset
from trainables.patience import best_epoch
from trainables.reports import EpochReport, Failure, FailureKind, Note, NoteKind
from trainables.specs.data import AugmentSpec, DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

MAX_EPOCHS = 5
SPLIT_SEED = 3
#: The worst epoch wins: with it the best epoch is an early one, and its checkpoint has to outlive its neighbours.
WORST = {"metric": "accuracy", "mode": "min"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data_spec(tmp_path_factory):
    return DataSpec(source="digits", limit=120, cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def dataset(data_spec):
    return prepare_dataset(data_spec, SPLIT_SEED)


@pytest.fixture(scope="module")
def spec_with(data_spec, dataset):
    """Makes the spec of a study whose checkpoints go to a folder."""

    def make(folder):
        return WorkerSpec(
            dataset=dataset,
            data=data_spec,
            split_seed=SPLIT_SEED,
            training=TrainingSpec(max_epochs=MAX_EPOCHS, augment=AugmentSpec(crop_padding=1), **WORST),
            device=DeviceSpec(cpus=1),
            checkpoints=str(folder / "checkpoints"),
        )

    return make


@pytest.fixture
def spec(spec_with, tmp_path):
    return spec_with(tmp_path)


@pytest.fixture(scope="module")
def variant(variant_of):
    return variant_of(learning_rate=0.01)


def start(spec, variant, *, first_epoch=1):
    return TrialRun(trial="t0001", variant=variant, first_epoch=first_epoch, spec=spec)


def reports(run, count):
    outcomes = [run.step() for _ in range(count)]
    assert all(isinstance(outcome, EpochReport) for outcome in outcomes), outcomes
    return outcomes


def failure(run):
    outcome = run.step()
    assert isinstance(outcome, Failure), outcome
    return outcome


def metrics_of(told):
    return [(report.epoch, report.metrics, report.is_last) for report in told]


def raising(error):
    def build_model(*_, **__):
        raise error

    return build_model


@pytest.fixture(scope="module")
def undisturbed(spec_with, variant, tmp_path_factory):
    """The reports of a trial that nothing disturbs, and its folder of checkpoints, not to be changed."""
    spec = spec_with(tmp_path_factory.mktemp("undisturbed"))
    return reports(start(spec, variant), MAX_EPOCHS), Path(spec.checkpoints) / "t0001"


@pytest.fixture
def stopped(spec, undisturbed):
    """Returns a function that leaves the trial's folder with the checkpoints of some epochs only."""

    def leave(*epochs):
        folder = Path(spec.checkpoints) / "t0001"
        for epoch in epochs:
            shutil.copytree(checkpoint_folder(undisturbed[1], epoch=epoch), checkpoint_folder(folder, epoch=epoch))
        return folder

    return leave


@pytest.fixture
def trained_epochs(monkeypatch):
    """The epochs that were really trained."""
    from trainables.training.training import Training

    epochs = []
    run_epoch = Training.run_epoch

    def noting(self):
        report = run_epoch(self)
        epochs.append(report.epoch)
        return report

    monkeypatch.setattr(Training, "run_epoch", noting)
    return epochs


def test_a_trial_reports_every_epoch_and_says_which_is_the_last(undisturbed):
    told, _ = undisturbed
    assert [report.epoch for report in told] == [1, 2, 3, 4, 5]
    assert [report.is_last for report in told] == [False] * 4 + [True]
    assert set(told[0].overhead_seconds) == {"import", "data", "build", "trace", "validate", "checkpoint"}
    assert set(told[1].overhead_seconds) == {"checkpoint", "validate"}


def test_the_checkpoints_of_the_best_epoch_and_of_the_last_two_stay(undisturbed):
    told, folder = undisturbed
    best = best_epoch(told, **WORST)
    assert best < 4, "this data no longer shows that the best checkpoint stays"
    assert saved_epochs(folder) == [best, 4, 5]


def test_graphs_of_a_trial_on_a_cpu_are_rewritten_once(spec, variant):
    context.context().function_call_options = None
    reports(start(spec, variant), 1)
    told = config_pb2.ConfigProto.FromString(context.context().function_call_options.config_proto_serialized)
    context.context().function_call_options = None
    assert told.graph_options.rewrite_options.meta_optimizer_iterations == rewriter_config_pb2.RewriterConfig.ONE


@pytest.mark.parametrize(("mode", "values", "best"), [("max", [1, 3, 3, 2], 2), ("min", [3, 1, 2, 1], 2)])
def test_the_best_epoch_is_the_earliest_of_the_best(mode, values, best):
    history = [
        EpochReport(epoch=epoch, metrics={"val_loss": value}, train_seconds=1, images_per_second=1)
        for epoch, value in enumerate(values, start=1)
    ]
    assert best_epoch(history, metric="val_loss", mode=mode) == best


def test_the_next_run_tells_stored_epochs_again_and_trains_only_the_rest(
    spec, variant, undisturbed, stopped, trained_epochs
):
    best, *_ = saved_epochs(undisturbed[1])
    stopped(best, 4)
    again = reports(start(spec, variant), MAX_EPOCHS)
    assert metrics_of(again) == metrics_of(undisturbed[0])
    assert trained_epochs == [5]
    assert [report.overhead_seconds for report in again[:4]] == [{}] * 4
    assert {"import", "data", "build"} <= set(again[4].overhead_seconds)
    assert saved_epochs(Path(spec.checkpoints) / "t0001") == [best, 4, 5]


def test_a_finished_trial_is_told_again_without_training(spec, variant, undisturbed, stopped, trained_epochs):
    folder = stopped(5)
    # As a kill leaves it before the deletion of what is no longer needed.
    shutil.copytree(checkpoint_folder(folder, epoch=5), checkpoint_folder(folder, epoch=3))
    assert metrics_of(reports(start(spec, variant, first_epoch=4), 2)) == metrics_of(undisturbed[0][3:])
    assert trained_epochs == []
    assert saved_epochs(folder) == [5]


def test_epochs_that_are_known_but_lost_are_trained_again_in_silence(
    spec, variant, undisturbed, stopped, trained_epochs
):
    first = saved_epochs(undisturbed[1])[0]
    stopped(first)
    (told,) = reports(start(spec, variant, first_epoch=4), 1)
    assert metrics_of([told]) == metrics_of([undisturbed[0][3]])
    assert trained_epochs == list(range(first + 1, 5))
    # The best epoch among them may be exported, so its checkpoint must be there again.
    best = best_epoch(undisturbed[0][:4], **WORST)
    assert {best, 3, 4} <= set(saved_epochs(Path(spec.checkpoints) / "t0001"))


def test_a_damaged_newest_checkpoint_costs_one_epoch(spec, variant, undisturbed, stopped, trained_epochs):
    folder = stopped(4, 5)
    (checkpoint_folder(folder, epoch=5) / "state.safetensors").write_bytes(b"torn")
    (folder / ".epoch-0006.tmp").mkdir()
    run = start(spec, variant, first_epoch=5)
    assert metrics_of(reports(run, 1)) == metrics_of(undisturbed[0][4:])
    assert trained_epochs == [5]
    told = "checkpoint epoch-0005 is damaged (state.safetensors: size or sha256 differ); went on from epoch 4"
    assert run.take_notes() == [Note(kind=NoteKind.CHECKPOINT_INVALID, text=told)]


def of_another_model(variant, history):
    return Checkpoint(variant_id=variant.variant_id, state={"model/0000": np.zeros(3)}, history=history)


def test_a_whole_checkpoint_of_a_model_that_is_built_differently_now_starts_the_trial_anew(
    spec, variant, undisturbed, trained_epochs
):
    save_checkpoint(Path(spec.checkpoints) / "t0001", of_another_model(variant, undisturbed[0][:2]))
    run = start(spec, variant)
    assert metrics_of(reports(run, MAX_EPOCHS)) == metrics_of(undisturbed[0])
    assert trained_epochs == [1, 2, 3, 4, 5]
    (note,) = run.take_notes()
    assert note.text.startswith("checkpoint epoch-0002 is of a model that is built differently now (the checkpoint")
    assert note.text.endswith("; began anew from epoch 1")


def test_a_checkpoint_of_another_model_does_not_hide_an_older_one_of_this(
    spec, variant, undisturbed, stopped, trained_epochs
):
    folder = stopped(4)
    save_checkpoint(folder, of_another_model(variant, undisturbed[0]))
    run = start(spec, variant, first_epoch=5)
    assert metrics_of(reports(run, 1)) == metrics_of(undisturbed[0][4:])
    assert trained_epochs == [5]
    assert [note.text.partition("; ")[2] for note in run.take_notes()] == ["went on from epoch 4"]


def test_checkpoints_of_another_variant_are_cleared_away(spec, variant_of, stopped):
    folder = stopped(4, 5)
    (folder / ".epoch-0006.tmp").mkdir()
    run = start(spec, variant_of(seed=99))
    reports(run, 1)
    texts = [note.text for note in run.take_notes()]
    assert [text.split()[1:4] for text in texts] == [[f"epoch-000{epoch}", "belongs", "to"] for epoch in (5, 4)]
    assert [path.name for path in folder.iterdir()] == ["epoch-0001"]


def test_nothing_is_built_before_the_first_step(spec, variant, monkeypatch):
    monkeypatch.setattr("trainables.families.building.build_model", raising(AssertionError("built")))
    start(spec, variant)
    assert not Path(spec.checkpoints).exists()


def test_a_variant_that_does_not_fit_is_infeasible(spec, variant_of):
    failed = failure(start(spec, variant_of(num_blocks=5, padding="valid")))
    assert failed.kind is FailureKind.INFEASIBLE
    assert "needs at least 2x2 pixels" in failed.reason
    assert failed.details == ""


def test_a_loss_that_is_no_number_is_diverged_and_leaves_no_checkpoint(spec, variant_of):
    params = {"batch_norm": False, "optimizer": "sgd", "learning_rate": 100.0, "activation": "selu"}
    failed = failure(start(spec, variant_of("residual", **params)))
    assert failed.kind is FailureKind.DIVERGED
    assert "loss=nan" in failed.reason
    assert saved_epochs(Path(spec.checkpoints) / "t0001") == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["*_images.npy", "splits"])
def test_a_damaged_data_set_is_decoded_again(spec, variant, undisturbed, tmp_path, damage):
    folder = shutil.copytree(spec.dataset.folder, tmp_path / "entry")
    victim = next(iter(folder.glob(damage)))
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    run = start(replace(spec, dataset=replace(spec.dataset, folder=str(folder))), variant)
    assert metrics_of(reports(run, 1)) == metrics_of(undisturbed[0][:1])


def test_data_that_cannot_be_decoded_any_more_is_a_data_error(spec, variant, tmp_path):
    gone = DataSpec(source="npz", path=str(tmp_path / "gone.npz"), cache_dir=str(tmp_path / "cache"))
    dataset = replace(spec.dataset, folder=str(tmp_path / "nowhere"))
    failed = failure(start(replace(spec, data=gone, dataset=dataset), variant))
    assert failed.kind is FailureKind.DATA_ERROR
    assert "gone.npz" in failed.reason
    assert "Traceback" in failed.details


@pytest.mark.slow
def test_a_node_without_the_data_decodes_it_itself(spec, variant, undisturbed, tmp_path):
    elsewhere = replace(
        spec,
        dataset=replace(spec.dataset, folder=str(tmp_path / "driver")),
        data=spec.data.model_copy(update={"cache_dir": str(tmp_path / "node")}),
    )
    assert metrics_of(reports(start(elsewhere, variant), 1)) == metrics_of(undisturbed[0][:1])


@pytest.mark.slow
def test_a_node_with_other_images_is_a_data_error(spec, variant, tmp_path):
    gone = replace(spec.dataset, folder=str(tmp_path / "driver"))
    failed = failure(start(replace(spec, dataset=gone, data=spec.data.model_copy(update={"limit": 60})), variant))
    assert failed.kind is FailureKind.DATA_ERROR
    assert "give every node the same files at the same paths" in failed.reason


def test_checkpoints_that_cannot_be_written_are_a_storage_error(spec, variant):
    Path(spec.checkpoints).write_text("a file where a folder should be")
    failed = failure(start(spec, variant))
    assert failed.kind is FailureKind.STORAGE_ERROR
    assert "Not a directory" in failed.reason
    assert "begin_draft" in failed.details


def test_a_full_disk_is_a_storage_error(spec, variant, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trainables.checkpoints.checkpoint.write_arrays", full)
    failed = failure(start(spec, variant))
    assert failed.kind is FailureKind.STORAGE_ERROR
    assert "No space left on device" in failed.reason


def test_whatever_else_is_raised_is_a_code_error_with_its_traceback(spec, variant, monkeypatch):
    monkeypatch.setattr("trainables.families.building.build_model", raising(RuntimeError("boom\nsecond line")))
    failed = failure(start(spec, variant))
    assert (failed.kind, failed.reason) == (FailureKind.CODE_ERROR, "RuntimeError: boom")
    assert failed.details.endswith("RuntimeError: boom\nsecond line\n")
    assert "in build_model" in failed.details


def test_a_trial_that_is_stopped_from_outside_is_no_failure(spec, variant, monkeypatch):
    monkeypatch.setattr("trainables.families.building.build_model", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        start(spec, variant).step()


#: A process that trains its first trial and lets it go.
FIRST_TRIAL = """
import gc, pickle, sys, weakref
from pathlib import Path
from trainables.reports import EpochReport
from trainables.worker.trace_cache import TracedTrainings
from trainables.worker.trace_cache import TracedTrainings
from trainables.worker.trial_run import TrialRun
spec, variant = pickle.loads(Path(sys.argv[1]).read_bytes())
traced = TracedTrainings()
run = TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=spec, traced=traced)
assert isinstance(run.step(), EpochReport)
training = weakref.ref(run._training)
run.leave()
traced.clear()
gc.collect()
assert gc.get_freeze_count() > 0
assert training() is None, [type(referrer).__name__ for referrer in gc.get_referrers(training())]
"""


def test_the_first_trial_of_a_process_is_let_go_like_any_other(spec, variant, tmp_path):
    # In a process of its own: what other tests left in this one plays no part.
    (tmp_path / "trial").write_bytes(pickle.dumps((spec, variant)))
    command = [sys.executable, "-c", FIRST_TRIAL, str(tmp_path / "trial")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
