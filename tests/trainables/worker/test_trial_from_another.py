"""A trial that begins from another trial's checkpoint: exact where nothing changed, and changed in what did."""

from pathlib import Path

import pytest

from trainables.checkpoints.checkpoint import saved_epochs
from trainables.checkpoints.inheriting import inherit_checkpoint
from trainables.data.cache.prepare import prepare_dataset
from trainables.patience import best_epoch
from trainables.reports import EpochReport, Failure
from trainables.specs.data import AugmentSpec, DataSpec
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec
from trainables.worker.trial_run import TrialRun

MAX_EPOCHS, FROM_EPOCH = 6, 2
OBJECTIVE = {"metric": "val_accuracy", "mode": "max"}
#: Every part of a state: momentum, averages, seeds of dropout, a schedule's place, statistics of batch normalisation.
CASES = {
    "sgd with a schedule": {
        "optimizer": "sgd",
        "momentum": 0.9,
        "learning_rate": 0.02,
        "schedule": "cosine",
        "dropout": 0.3,
        "weight_decay": 1e-3,
        "ema_momentum": 0.5,
    },
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "dropout": 0.3, "batch_norm": True, "augment_strength": 1.0},
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    data = DataSpec(source="digits", limit=120, cache_dir=str(folder / "cache"))
    return WorkerSpec(
        dataset=prepare_dataset(data, 3),
        data=data,
        split_seed=3,
        training=TrainingSpec(
            max_epochs=MAX_EPOCHS, augment=AugmentSpec(crop_padding=1, cutout=2), kept_every=2, **OBJECTIVE
        ),
        device=DeviceSpec(cpus=1),
        checkpoints=str(folder / "checkpoints"),
    )


def reports(run, count):
    outcomes = [run.step() for _ in range(count)]
    assert all(isinstance(outcome, EpochReport) for outcome in outcomes), outcomes
    return outcomes


def numbers(told):
    return [(report.epoch, report.metrics, report.is_last) for report in told]


@pytest.fixture(scope="module")
def parent_of(spec, variant_of):
    """Returns the reports of a case's parent, which trains to its end, and its variant."""
    known = {}

    def find(case):
        if case not in known:
            variant = variant_of(**CASES[case])
            run = TrialRun(trial=f"parent-{len(known)}", variant=variant, first_epoch=1, spec=spec)
            known[case] = (reports(run, MAX_EPOCHS), variant, run.trial)
        return known[case]

    return find


@pytest.fixture
def go_on(spec, parent_of, variant_of):
    """Returns the reports of a trial that goes on from a case's parent with other values, after so many epochs."""

    def begin(case, name, *, count=MAX_EPOCHS - FROM_EPOCH, **changed):
        _, variant, parent = parent_of(case)
        other = variant_of(**CASES[case] | changed)
        checkpoints = Path(spec.checkpoints)
        inherit_checkpoint(
            checkpoints / parent,
            epoch=FROM_EPOCH,
            variant_id=variant.variant_id,
            heir_folder=checkpoints / name,
            heir_id=other.variant_id,
            changed=list(changed),
        )
        first = FROM_EPOCH + 1
        run = TrialRun(trial=name, variant=other, first_epoch=first, from_epoch=FROM_EPOCH, spec=spec)
        return reports(run, count)

    return begin


@pytest.mark.parametrize("case", CASES)
def test_trial_that_changes_nothing_reports_bit_for_bit_what_its_parent_reports(case, go_on, parent_of):
    told = go_on(case, f"same {case}")
    assert numbers(told) == numbers(parent_of(case)[0][FROM_EPOCH:])


@pytest.mark.parametrize(
    ("case", "changed"),
    [
        ("sgd with a schedule", {"learning_rate": 0.003}),
        ("sgd with a schedule", {"momentum": 0.8}),
        ("sgd with a schedule", {"weight_decay": 0.1}),
        ("adam", {"learning_rate": 0.003}),
        ("adam", {"dropout": 0.1}),
        ("adam", {"augment_strength": 2.0}),
    ],
)
def test_each_value_that_may_change_changes_what_comes_after(case, changed, go_on, parent_of):
    told = go_on(case, f"{' '.join(changed)} {case}", count=1, **changed)
    assert told[0].epoch == FROM_EPOCH + 1
    assert told[0].metrics["loss"] != parent_of(case)[0][FROM_EPOCH].metrics["loss"]


def test_it_goes_on_exactly_from_its_own_checkpoints_after_a_worker_died(spec, go_on, parent_of, variant_of):
    whole = go_on("adam", "calm", learning_rate=0.003)
    part = go_on("adam", "killed", learning_rate=0.003, count=2)
    other = variant_of(**CASES["adam"] | {"learning_rate": 0.003})
    rest = reports(TrialRun(trial="killed", variant=other, first_epoch=5, from_epoch=FROM_EPOCH, spec=spec), 2)
    assert numbers([*part, *rest]) == numbers(whole)


@pytest.mark.parametrize("next_epoch", [FROM_EPOCH + 1, FROM_EPOCH + 3])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_it_fails_where_its_checkpoints_are_lost_and_does_not_begin_with_fresh_weights(
    damage, next_epoch, spec, go_on, variant_of
):
    name = f"lost {damage} {next_epoch}"
    go_on("adam", name, learning_rate=0.003, count=next_epoch - FROM_EPOCH - 1)
    folder = Path(spec.checkpoints) / name
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        # A file may have a second name among the parent's.
        file.unlink()
        if damage == "cut":
            file.write_bytes(content[:-3])
    other = variant_of(**CASES["adam"] | {"learning_rate": 0.003})
    run = TrialRun(trial=name, variant=other, first_epoch=next_epoch, from_epoch=FROM_EPOCH, spec=spec)
    failure = run.step()
    assert isinstance(failure, Failure)
    assert failure.reason.endswith(
        f"no checkpoint of {name} is whole any more, and it began from another trial's after epoch 2; from fresh "
        "weights it would be another trial"
    )
    # It stays so when it is tried again.
    assert run.step().reason == failure.reason


def test_checkpoints_that_others_may_go_on_from_stay_beside_the_newest_and_the_trials_own_best(spec, go_on, parent_of):
    told, _, parent = parent_of("adam")
    folder = Path(spec.checkpoints)
    assert saved_epochs(folder / parent) == sorted({2, 4, 5, 6, *bests(told)})
    own = go_on("adam", "keeps", learning_rate=0.003)
    # The parent's best epoch is none of its own.
    assert saved_epochs(folder / "keeps") == sorted({2, 4, 5, 6, *bests(own)})


def bests(told):
    """Returns the best epoch, and the best before the last: the driver may never get the last report."""
    return {best_epoch(told, **OBJECTIVE), best_epoch(told[:-1], **OBJECTIVE)}
