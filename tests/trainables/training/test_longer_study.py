"""A trial of a study that was extended goes on as one that always had that many epochs; one of a dead driver leaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, saved_epochs
from trainables.checkpoints.fence import claim
from trainables.data.cache.prepare import prepare_dataset
from trainables.patience import replayed
from trainables.reports import EpochReport
from trainables.specs.data import DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Makes the worker's spec of a study in a folder."""
    data = DataSpec(source="digits", limit=120, cache_dir=str(tmp_path_factory.mktemp("cache")))
    dataset = prepare_dataset(data, 3)

    def make(folder, *, max_epochs, session=0):
        return WorkerSpec(
            dataset=dataset,
            data=data,
            split_seed=3,
            training=TrainingSpec(max_epochs=max_epochs, metric="val_accuracy", mode="max"),
            device=DeviceSpec(cpus=1),
            checkpoints=str(folder),
            session=session,
        )

    return make


def run(spec, variant, *, first_epoch=1, count):
    trial = TrialRun(trial="t0000", variant=variant, first_epoch=first_epoch, spec=spec)
    told = [trial.step() for _ in range(count)]
    return [(report.epoch, report.metrics, report.is_last, report.reason) for report in told]


@pytest.mark.parametrize("first_epoch", [3, 2], ids=["all reports known", "the last one never reached the driver"])
def test_completed_trial_goes_on_bit_for_bit_as_in_the_longer_study(study, variant_of, tmp_path, first_epoch):
    variant = variant_of(learning_rate=0.01, warmup_epochs=1.5)
    whole = run(study(tmp_path / "whole", max_epochs=4), variant, count=4)
    short = run(study(tmp_path / "grown", max_epochs=2), variant, count=2)
    assert [told[2] for told in short] == [False, True]
    rest = run(study(tmp_path / "grown", max_epochs=4), variant, first_epoch=first_epoch, count=5 - first_epoch)
    assert rest == whole[first_epoch - 1 :]
    states = [
        load_checkpoint(checkpoint_folder(tmp_path / name / "t0000", epoch=4), variant_id=variant.variant_id).state
        for name in ("whole", "grown")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def history(*values, max_epochs):
    return [
        EpochReport(
            epoch=epoch,
            metrics={"loss": value},
            train_seconds=1.0,
            images_per_second=1.0,
            is_last=epoch == max_epochs,
        )
        for epoch, value in enumerate(values, start=1)
    ]


@pytest.mark.parametrize(
    ("patience", "is_last", "reason"), [(0, False, ""), (2, False, ""), (1, True, "patience: no loss better")]
)
def test_last_report_of_a_shorter_study_is_told_as_the_longer_one_would_have(patience, is_last, reason):
    told = replayed(history(0.5, 0.6, max_epochs=2), max_epochs=9, metric="loss", mode="min", patience=patience)
    assert [report.is_last for report in told] == [False, is_last]
    assert told[-1].reason.startswith(reason)
    assert bool(told[-1].reason) == bool(reason)
    assert replayed([], max_epochs=9, metric="loss", mode="min", patience=patience) == []


def test_worker_of_a_dead_drivers_session_leaves_and_writes_nothing(study, variant_of, tmp_path, monkeypatch):
    spec = study(tmp_path, max_epochs=9, session=1)
    trial = TrialRun(trial="t0000", variant=variant_of(learning_rate=0.01), first_epoch=1, spec=spec)
    claim(tmp_path, session=1)
    assert trial.step().epoch == 1

    # While it trains, the driver dies and another one begins.
    def train_and_lose(training):
        report = run_epoch(training)
        claim(Path(spec.checkpoints), session=2)
        return report

    run_epoch = type(trial._training).run_epoch
    monkeypatch.setattr(type(trial._training), "run_epoch", train_and_lose)
    with pytest.raises(SystemExit, match="a later session than 1 is at work"):
        trial.step()
    assert saved_epochs(tmp_path / "t0000") == [1]
    monkeypatch.undo()
    with pytest.raises(SystemExit):
        trial.step()
    later = TrialRun(trial="t0000", variant=trial.variant, first_epoch=2, spec=replace(spec, session=2))
    assert later.step().epoch == 2
