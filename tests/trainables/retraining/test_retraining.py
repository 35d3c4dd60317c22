"""A trial that is trained again up to a lost checkpoint: bit for bit what it was, or refused in words."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces import Variant
from trainables.checkpoints.checkpoint import checkpoint_folder, load_checkpoint, saved_epochs
from trainables.checkpoints.inheriting import inherit_checkpoint
from trainables.checkpoints.store import CheckpointStore
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import LostCheckpointError
from trainables.reports import EpochReport
from trainables.retraining.requests import RetrainingRequest
from trainables.retraining.retraining import train_again
from trainables.specs.data import AugmentSpec, DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

EPOCHS, LOST = 5, 4

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> WorkerSpec:
    folder = tmp_path_factory.mktemp("study")
    data = DataSpec(source="digits", limit=120, cache_dir=str(folder / "cache"))
    # Every checkpoint stays, so that a test can choose which are lost.
    training = TrainingSpec(
        max_epochs=EPOCHS, augment=AugmentSpec(crop_padding=1), kept_every=1, metric="val_accuracy", mode="max"
    )
    return WorkerSpec(
        dataset=prepare_dataset(data, 3),
        data=data,
        split_seed=3,
        training=training,
        device=DeviceSpec(cpus=1),
        checkpoints=str(folder / "checkpoints"),
    )


@pytest.fixture(scope="module")
def trained(spec: WorkerSpec, variant_of: Any) -> tuple[Variant, list[EpochReport]]:
    """A trial that ended, and its reports."""
    variant = variant_of(dropout=0.3, optimizer="adam", batch_norm=True)
    run = TrialRun(trial="t0001", variant=variant, first_epoch=1, spec=spec)
    reports = [run.step() for _ in range(EPOCHS)]
    assert all(isinstance(report, EpochReport) for report in reports), reports
    return variant, reports  # type: ignore[return-value]


@pytest.fixture
def request_for(
    spec: WorkerSpec, trained: tuple[Variant, list[EpochReport]], tmp_path: Path
) -> Callable[..., RetrainingRequest]:
    """Returns the request for a trial of which a copy has the checkpoints of these epochs alone."""

    def make(*kept: int, **changed: Any) -> RetrainingRequest:
        shutil.copytree(spec.checkpoints, tmp_path / "checkpoints")
        for epoch in set(range(1, EPOCHS + 1)) - set(kept):
            shutil.rmtree(checkpoint_folder(tmp_path / "checkpoints" / "t0001", epoch=epoch))
        variant, reports = trained
        worker = replace(spec, checkpoints=str(tmp_path / "checkpoints"))
        usual = {"epoch": LOST, "metrics": reports[LOST - 1].metrics, "worker": worker, "variant": variant}
        return RetrainingRequest(**{"trial": "t0001", **usual, **changed})

    return make


def arrays(folder: Path | str, epoch: int, variant: Variant) -> dict[str, np.ndarray]:
    place = checkpoint_folder(Path(folder) / "t0001", epoch=epoch)
    return dict(load_checkpoint(place, variant_id=variant.variant_id).state)


@pytest.mark.parametrize(
    ("kept", "begun"),
    [((1, 2, 5), 2), ((5,), 0), ((), 0)],
    ids=["from the newest before", "from fresh weights", "none"],
)
def test_checkpoint_is_the_lost_one_bit_for_bit(request_for: Any, spec: WorkerSpec, kept: Any, begun: int) -> None:
    request = request_for(*kept)
    answer = train_again(request)
    assert (answer.trial, answer.epoch, answer.from_epoch) == ("t0001", LOST, begun)
    folder = request.worker.checkpoints
    then, now = arrays(spec.checkpoints, LOST, request.variant), arrays(folder, LOST, request.variant)
    assert then.keys() == now.keys()
    assert all(np.array_equal(array, now[name]) for name, array in then.items())
    # The others are as they were, and nothing else is left.
    trial = Path(folder) / "t0001"
    assert saved_epochs(trial) == sorted({*kept, LOST})
    assert [path.name for path in trial.iterdir() if path.name.startswith(".")] == []


def test_damaged_checkpoints_are_passed_over_and_replaced(request_for: Any, spec: WorkerSpec) -> None:
    request = request_for(1, 3, LOST)
    trial = Path(request.worker.checkpoints) / "t0001"
    for epoch in (3, LOST):
        (checkpoint_folder(trial, epoch=epoch) / "state.safetensors").write_bytes(b"torn")
    assert train_again(request).from_epoch == 1
    assert arrays(trial.parent, LOST, request.variant).keys() == arrays(spec.checkpoints, LOST, request.variant).keys()


def test_other_numbers_are_refused_with_both_values_and_nothing_takes_the_place(request_for: Any) -> None:
    request = request_for(2, 5)
    loss = request.metrics["val_loss"]
    then = np.nextafter(loss, 9.0)
    wrong = replace(request, metrics={**request.metrics, "val_loss": then})
    with pytest.raises(LostCheckpointError) as caught:
        train_again(wrong)
    assert str(caught.value).startswith(
        f"trained again from epoch 2, its epoch 4 has val_loss {loss} where the journal has {then}: "
    )
    trial = Path(request.worker.checkpoints) / "t0001"
    assert saved_epochs(trial) == [2, 5]
    assert sorted(path.name for path in trial.iterdir()) == ["epoch-0002", "epoch-0005"]


def test_checkpoint_is_fetched_from_storage_to_go_on_from_and_is_uploaded(request_for: Any, tmp_path: Path) -> None:
    request = request_for(3)
    uri = f"file://{tmp_path}/elsewhere"
    trial = Path(request.worker.checkpoints) / "t0001"
    CheckpointStore(uri, trial="t0001", folder=trial).upload()
    shutil.rmtree(trial)
    request = replace(request, worker=replace(request.worker, remote=uri))
    assert train_again(request).from_epoch == 3
    shutil.rmtree(trial)
    store = CheckpointStore(uri, trial="t0001", folder=trial)
    assert store.epochs() == [3, LOST]
    store.fetch_epoch(LOST, variant_id=request.variant.variant_id)


def test_trial_that_began_from_another_goes_on_from_that_ones_checkpoint_or_is_refused(
    request_for: Any, variant_of: Any
) -> None:
    request = request_for(1, 2, 3, 4, 5)
    checkpoints, parent = Path(request.worker.checkpoints), request.variant
    heir = Variant(family=parent.family, params={**parent.params, "dropout": 0.1}, seed=parent.seed)
    inherit_checkpoint(
        checkpoints / "t0001",
        epoch=2,
        variant_id=parent.variant_id,
        heir_folder=checkpoints / "t0002",
        heir_id=heir.variant_id,
        changed=["dropout"],
    )
    run = TrialRun(trial="t0002", variant=heir, first_epoch=3, spec=request.worker, from_epoch=2)
    metrics = [run.step() for _ in range(2)][-1].metrics  # type: ignore[union-attr]
    then = load_checkpoint(checkpoint_folder(checkpoints / "t0002", epoch=4), variant_id=heir.variant_id)
    shutil.rmtree(checkpoints / "t0002")
    lost = replace(
        request, trial="t0002", variant=heir, metrics=metrics, parent="t0001", parent_variant=parent, from_epoch=2
    )
    assert train_again(lost).from_epoch == 2
    now = load_checkpoint(checkpoint_folder(checkpoints / "t0002", epoch=4), variant_id=heir.variant_id)
    assert all(np.array_equal(array, now.state[name]) for name, array in then.state.items())

    shutil.rmtree(checkpoints / "t0002")
    shutil.rmtree(checkpoint_folder(checkpoints / "t0001", epoch=2))
    with pytest.raises(LostCheckpointError, match="it began from t0001's checkpoint of epoch 2, and that is lost as"):
        train_again(lost)


def test_trial_that_fails_this_time_is_refused_with_its_reason(request_for: Any, monkeypatch: Any) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    request = request_for(2)
    monkeypatch.setattr("trainables.checkpoints.writer.begin_draft", full)
    with pytest.raises(LostCheckpointError, match=r"from epoch 2, it failed \(storage_error\): .*No space left"):
        train_again(request)
