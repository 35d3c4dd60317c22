"""Trials that validate on folds of their own: what they report, and what they go on from."""

from dataclasses import replace

import pytest

from trainables.data.cache.prepare import prepare_folds
from trainables.reports import EpochReport, NoteKind
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trace_cache import TracedTrainings
from trainables.worker.trial_run import TrialRun

SPLIT_SEED = 3

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def variant(variant_of):
    return variant_of(learning_rate=0.01)


def reports(run, count):
    outcomes = [run.step() for _ in range(count)]
    assert all(isinstance(outcome, EpochReport) for outcome in outcomes), outcomes
    return outcomes


def metrics_of(told):
    return [(report.epoch, report.metrics, report.is_last) for report in told]


@pytest.fixture(scope="module")
def on_folds(tmp_path_factory):
    """The settings of a study whose leaders train on three folds, with checkpoints in a folder of its own."""
    cache = str(tmp_path_factory.mktemp("cache"))
    data = DataSpec(source="digits", limit=120, cache_dir=cache, folds=3, fold=1)
    own, *others = prepare_folds(data, SPLIT_SEED, folds=(2, 3))
    return WorkerSpec(
        dataset=own,
        data=data,
        split_seed=SPLIT_SEED,
        training=TrainingSpec(max_epochs=3, metric="val_loss", mode="min"),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path_factory.mktemp("folds") / "checkpoints"),
        folds=dict(zip((2, 3), others, strict=True)),
    )


def test_a_trial_goes_on_on_its_own_fold_alone(on_folds, variant, tmp_path):
    def trial(fold, folder, first_epoch=1):
        spec = replace(on_folds, checkpoints=str(folder / "checkpoints"))
        return TrialRun(trial="t0001", variant=variant, first_epoch=first_epoch, spec=spec, fold=fold)

    whole = {fold: metrics_of(reports(trial(fold, tmp_path / f"whole-{fold}"), 3)) for fold in (0, 2, 3)}
    assert len({repr(told) for told in whole.values()}) == 3
    assert reports(trial(1, tmp_path / "named"), 1)[0].metrics == whole[0][0][1]

    reports(trial(2, tmp_path), 2)
    assert metrics_of(reports(trial(2, tmp_path, first_epoch=3), 1)) == whole[2][2:]

    other = trial(3, tmp_path, first_epoch=1)
    assert metrics_of(reports(other, 1)) == whole[3][:1]
    notes = [note.text for note in other.take_notes() if note.kind is NoteKind.CHECKPOINT_INVALID]
    assert len(notes) == 2
    assert all(f"belongs to variant {variant.variant_id}-fold-2" in note for note in notes)


def test_trainings_of_one_fold_are_not_begun_again_on_another(on_folds, variant):
    traced = TracedTrainings()

    def run(fold, name):
        trial = TrialRun(trial=name, variant=variant, first_epoch=1, spec=on_folds, fold=fold, traced=traced)
        told = metrics_of(reports(trial, 3))
        trial.leave()
        return told

    first, second = run(2, "t0011"), run(3, "t0012")
    assert first != second
    assert len(traced) == 2
    assert run(2, "t0013") == first
