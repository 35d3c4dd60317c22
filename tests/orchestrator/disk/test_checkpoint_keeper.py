"""The keeper at work on real files: what it deletes, reduces and leaves, and its messages."""

import shutil

import numpy as np
import pytest

from orchestrator.disk.checkpoint_keeper import CheckpointKeeper
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import StudyFinished, TrialStopped
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from trainables.checkpoints.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint, saved_epochs
from trainables.checkpoints.weights import load_validated, reduced_epochs
from trainables.errors import CheckpointError

#: Bytes of one array; a state has a weight, its average and two more of the optimizer.
ARRAY_BYTES = 400_000
FULL_GB, WEIGHTS_GB = 4 * ARRAY_BYTES / 1e9, ARRAY_BYTES / 1e9


def state_of(value):
    names = ("model/0000", "average/0000", "optimizer/0000", "optimizer/0001")
    return {name: np.full(ARRAY_BYTES // 4, value + place, np.float32) for place, name in enumerate(names)}


@pytest.fixture
def run(tmp_path, make_opened, make_proposed, make_reported):
    """Four trials of three epochs: t0000 the best, t0001 next, both and t0002 stopped; t0003 goes on."""
    folder = RunFolder(tmp_path / "run")
    records = [make_opened(num_trials=4)]
    for number, value in enumerate((0.9, 0.8, 0.7, 0.1)):
        records.append(make_proposed(number, at=100.0))
        values = (value - 0.05, value, value - 0.01)
        records += [make_reported(number, epoch, at=101.0, value=v) for epoch, v in enumerate(values, start=1)]
        if number < 3:
            records.append(TrialStopped(trial=f"t{number:04d}", epoch=3, reason="weak", at=102.0))
    with Journal(folder.journal) as journal:
        for record in records:
            journal.append(record)
        recorder = Recorder(journal, state=fold(records), folder=folder)
        for trial in recorder.state.trials.values():
            for epoch in (1, 2, 3):
                checkpoint = Checkpoint(
                    variant_id=trial.variant.variant_id,
                    state=state_of(10 * trial.number + epoch),
                    history=trial.reports[:epoch],
                )
                save_checkpoint(folder.checkpoints / trial.name, checkpoint, is_durable=False)
        yield recorder, folder


@pytest.fixture
def swept(run):
    """Sweeps once within a budget in GB and returns the messages."""

    def sweep(budget, *, top=1):
        told = []
        bytes_ = None if budget is None else budget * 1e9
        with CheckpointKeeper(run[1], recorder=run[0], budget_bytes=bytes_, top=top, notify=told.append):
            pass
        return told

    return sweep


def left(folder):
    """Returns the epochs of whole and of reduced checkpoints by trial."""
    trials = sorted(path for path in folder.checkpoints.iterdir())
    return {trial.name: (saved_epochs(trial), reduced_epochs(trial)) for trial in trials}


def notes(folder):
    return {
        trial.name: [note.text for note in trial.notes] for trial in fold(read_journal(folder.journal)).trials.values()
    }


def test_without_a_budget_ended_trials_keep_newest_and_best_and_others_all(run, swept):
    assert swept(None) == []
    assert left(run[1]) == {f"t000{n}": ([2, 3] if n < 3 else [1, 2, 3], []) for n in range(4)}
    assert not any(notes(run[1]).values())


def test_a_budget_takes_everything_of_losers_the_worst_first_and_notes_it(run, swept):
    assert swept(8 * FULL_GB) == []
    assert left(run[1])["t0002"] == ([], [])
    assert left(run[1])["t0001"] == ([2, 3], [])
    text = "its checkpoints were deleted to keep storage.checkpoint_budget_gb; an export trains it again"
    assert notes(run[1]) == {"t0000": [], "t0001": [], "t0002": [text], "t0003": []}


def test_trial_at_rest_is_evicted_when_another_needs_the_room(run, make_reported):
    recorder, folder = run
    growing = recorder.state.trials["t0003"]
    keeper = CheckpointKeeper(folder, recorder=recorder, budget_bytes=8.5e9 * FULL_GB, top=1, notify=print)
    for epoch in range(4, 10):
        keeper.sweep()
        assert left(folder)["t0001"] == (([2, 3], []) if epoch < 8 else ([], []))
        recorder.append(make_reported(3, epoch, at=200.0, value=0.1 * epoch))
        if epoch in (6, 7):
            checkpoint = Checkpoint(
                variant_id=growing.variant.variant_id, state=state_of(epoch), history=growing.reports
            )
            save_checkpoint(folder.checkpoints / "t0003", checkpoint, is_durable=False)
    keeper.sweep()
    along = left(folder)
    with CheckpointKeeper(folder, recorder=recorder, budget_bytes=8.5e9 * FULL_GB, top=1, notify=print):
        pass
    assert left(folder) == along == {"t0000": ([2, 3], []), "t0001": ([], []), "t0002": ([], []), "t0003": ([7], [])}


def test_disk_is_looked_at_only_for_trials_that_may_have_changed(run, make_reported, monkeypatch):
    recorder, folder = run
    keeper, seen = CheckpointKeeper(folder, recorder=recorder, budget_bytes=None, top=1, notify=print), []

    def saved_epochs_seen(trial):
        seen.append(trial.name)
        return saved_epochs(trial)

    monkeypatch.setattr("orchestrator.disk.stored_checkpoints.saved_epochs", saved_epochs_seen)
    looks = []
    for epoch in (4, 5, 6):
        keeper.sweep()
        looks.append(sorted(seen))
        seen.clear()
        recorder.append(make_reported(3, epoch, at=200.0, value=0.2))
    # The first sweep deletes what is outdated, the second one sees what that left.
    ended = ["t0000", "t0001", "t0002"]
    assert looks == [[*ended, "t0003"], [*ended, "t0003"], ["t0003"]]


def test_leaders_are_reduced_to_the_weights_that_were_validated(run, swept):
    assert swept(3 * FULL_GB + 2 * WEIGHTS_GB + 1e-4, top=2) == []
    assert left(run[1]) == {
        "t0000": ([], [2]),
        "t0001": ([], [2]),
        "t0002": ([], []),
        "t0003": ([1, 2, 3], []),
    }
    trial = run[0].state.trials["t0001"]
    variant_id, folder = trial.variant.variant_id, run[1].checkpoints / "t0001"
    weights = load_validated(folder, epoch=2, variant_id=variant_id)
    assert {name: set(array.flat) for name, array in weights.state.items()} == {"model/0000": {13.0}}
    assert list(weights.history) == trial.reports[:2]
    # Nothing to go on from.
    assert newest_checkpoint(folder, variant_id=variant_id) is None
    text = "all but the weights of its best epoch was deleted to keep storage.checkpoint_budget_gb"
    assert notes(run[1])["t0001"] == [f"{text}; it can be exported, but not trained further"]


def test_what_is_needed_beyond_the_budget_stays_and_is_told_once(run, swept):
    (told,) = swept(FULL_GB)
    assert told.startswith("checkpoints that are still needed take 0.00")
    assert "storage.checkpoint_budget_gb allows 0.0016: none of them is deleted; raise it" in told
    assert left(run[1])["t0003"] == ([1, 2, 3], [])
    assert left(run[1])["t0000"] == ([], [2])


def test_a_damaged_checkpoint_of_a_leader_is_left_alone_and_not_noted(run, swept):
    place = run[1].checkpoints / "t0000" / "epoch-0002" / "state.safetensors"
    place.write_bytes(place.read_bytes()[:-1])
    swept(FULL_GB)
    assert left(run[1])["t0000"] == ([2], [])


def test_files_that_vanish_meanwhile_stop_nothing(run, swept, monkeypatch):
    from orchestrator.disk import checkpoint_keeper

    def vanish(trial, *, epoch):
        shutil.rmtree(run[1].checkpoints / "t0002", ignore_errors=True)
        return discard(trial, epoch=epoch)

    discard = checkpoint_keeper.discard_checkpoint
    monkeypatch.setattr(checkpoint_keeper, "discard_checkpoint", vanish)
    assert swept(8 * FULL_GB) == []
    assert "t0002" not in left(run[1])


def test_a_second_look_finds_nothing_to_do(run, swept):
    swept(FULL_GB)
    before = left(run[1]), notes(run[1])
    swept(FULL_GB)
    assert (left(run[1]), notes(run[1])) == before


def test_weights_that_are_damaged_are_told(run, swept):
    swept(FULL_GB)
    folder = run[1].checkpoints / "t0000"
    place = folder / "weights-0002" / "state.safetensors"
    place.write_bytes(place.read_bytes()[:-1])
    variant_id = run[0].state.trials["t0000"].variant.variant_id
    with pytest.raises(CheckpointError, match=r"weights-0002: is damaged \(state.safetensors: size or sha256 differ\)"):
        load_validated(folder, epoch=2, variant_id=variant_id)


def test_checkpoints_that_others_may_go_on_from_stay_until_the_study_has_finished(run):
    recorder, folder = run

    def swept_names(budget=None):
        with CheckpointKeeper(
            folder, recorder=recorder, budget_bytes=budget, top=1, kept_every=1, notify=lambda text: None
        ) as keeper:
            keeper.sweep()
        return {name: whole for name, (whole, _) in left(folder).items()}

    assert swept_names() == {f"t000{n}": [1, 2, 3] for n in range(4)}
    recorder.append(StudyFinished(at=103.0))
    assert swept_names() == {f"t000{n}": [2, 3] if n < 3 else [1, 2, 3] for n in range(4)}


def test_budget_takes_also_what_others_may_go_on_from(run):
    recorder, folder = run
    with CheckpointKeeper(
        folder, recorder=recorder, budget_bytes=8e9 * FULL_GB, top=1, kept_every=1, notify=lambda text: None
    ):
        pass
    assert left(folder)["t0002"] == ([], [])
