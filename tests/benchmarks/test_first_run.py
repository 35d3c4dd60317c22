"""What the comparison of first runs plays on, keeps and counts."""

import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from first_run.data_sets import DATA_SETS, DataSet, Split, digits, write
from first_run.job import Incumbents, Job, TimeIsUp, load_train
from first_run.table import CONVFLEET, SCRIPT, Played, rows_of, verdict
from out_of_the_box import CONTESTANTS, play
from PIL import Image

from trainables.data.guess.looking import find_in_process

#: These need CIFAR-10's files.
ELSEWHERE = ("few-photos", "cifar10")


def played(contestant, *incumbents, data_set="a", seed=0, count=100):
    return Played(data_set=data_set, contestant=contestant, seed=seed, incumbents=incumbents, count=count)


class Model:
    """Stands for a Keras model that is saved."""

    def save(self, path, *, include_optimizer):
        Path(path).write_text("", encoding="utf-8")


def job(folder, **changes):
    common = {"arrays": "", "images": "", "folder": str(folder), "minutes": 1.0, "seed": 0, "started_at": time.time()}
    return Job(**{**common, **changes})


@pytest.mark.parametrize("name", sorted(set(DATA_SETS) - set(ELSEWHERE)))
def test_a_data_set_is_the_same_every_time_and_has_every_class_in_both_splits(name):
    first, again = DATA_SETS[name](None), DATA_SETS[name](None)
    for split, same in ((first.train, again.train), (first.test, again.test)):
        assert split.images.dtype == np.uint8
        assert split.images.ndim == 4
        assert len(split.images) == len(split.labels)
        assert set(split.labels) == set(range(len(first.class_names)))
        assert np.array_equal(split.images, same.images)
        assert np.array_equal(split.labels, same.labels)
    assert list(first.class_names) == sorted(first.class_names)
    train = {image.tobytes() for image in first.train.images}
    # scikit-learn's digits hold a few images twice.
    assert sum(image.tobytes() in train for image in first.test.images) <= (3 if name == "digits" else 0)


def test_data_sets_differ_in_what_people_bring():
    sets = {name: make(None) for name, make in DATA_SETS.items() if name not in ELSEWHERE}
    assert len(sets) + len(ELSEWHERE) >= 8
    assert {dataset.train.images.shape[-1] for dataset in sets.values()} == {1, 3}
    sides = {max(dataset.train.images.shape[1:3]) for dataset in sets.values()}
    assert min(sides) == 8
    assert max(sides) == 128
    assert max(len(dataset.class_names) for dataset in sets.values()) == 26
    assert any(np.bincount(dataset.train.labels).min() * 10 <= len(dataset.train.labels) for dataset in sets.values())


def test_folders_hold_the_pixels_and_classes_of_the_arrays(tmp_path):
    write(digits(None), tmp_path / "digits")
    with np.load(tmp_path / "digits" / "arrays.npz") as stored:
        for split in ("train", "test"):
            files = sorted((tmp_path / "digits" / "images" / split).glob("*/*.png"), key=lambda path: path.name)
            assert np.array_equal(
                np.stack([np.asarray(Image.open(path)) for path in files]), stored[f"x_{split}"][..., 0]
            )
            assert [int(path.parent.name) for path in files] == stored[f"y_{split}"].tolist()
    found = find_in_process(tmp_path / "digits" / "images")
    assert found.splits["train"] == 1347
    assert found.splits["test"] == 450


def test_images_that_validate_are_a_fifth_and_none_is_trained_on(tmp_path):
    x = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    np.savez(tmp_path / "arrays.npz", x_train=x, y_train=np.arange(10), x_test=x, y_test=np.arange(10))
    train = load_train(job(tmp_path, arrays=str(tmp_path / "arrays.npz")))
    assert len(train.y) == 8
    assert len(train.y_val) == 2
    assert sorted([*train.y, *train.y_val]) == list(range(10))
    assert np.array_equal(train.x.ravel(), train.y)


@pytest.mark.parametrize(("mode", "kept"), [("max", [0, 2]), ("min", [0, 1])])
def test_only_a_better_model_is_kept(tmp_path, mode, kept):
    incumbents = Incumbents(job(tmp_path), mode=mode)
    seen = []
    for number, value in enumerate((0.5, 0.4, 0.6, 0.6)):
        before = len(list(tmp_path.glob("*.keras")))
        incumbents.offer(Model(), value)
        seen += [number] * (len(list(tmp_path.glob("*.keras"))) - before)
    assert seen == kept


def test_a_model_that_comes_too_late_does_not_count(tmp_path):
    incumbents = Incumbents(job(tmp_path, started_at=time.time() - 61))
    with pytest.raises(TimeIsUp):
        incumbents.offer(Model(), 0.9)
    assert not list(tmp_path.glob("*.keras"))
    assert not issubclass(TimeIsUp, Exception)  # tuners go on after an Exception of a trial


def test_rows_tell_medians_over_seeds_and_when_a_contestant_was_good():
    items = [
        *(played("slow", (10.0, 0.5), (50.0 + seed, 0.9), seed=seed) for seed in range(3)),
        *(played("weak", (1.0, 0.6), seed=seed) for seed in range(3)),
        Played(data_set="a", contestant="broken", seed=0, problem="exit code 1"),
    ]
    slow, weak, broken = rows_of(items)
    assert (slow.contestant, slow.accuracy, slow.seconds_to_good) == ("slow", 0.9, 51.0)
    assert slow.interval[0] < 0.9 < slow.interval[1]
    assert (weak.accuracy, weak.seconds_to_good) == (0.6, math.inf)
    assert broken.num_failed == 1
    assert math.isnan(broken.accuracy)


def test_a_model_that_was_better_for_a_while_counts_for_when_it_was():
    [row] = rows_of([played("a", (5.0, 0.9), (9.0, 0.7))])
    assert (row.accuracy, row.seconds_to_good) == (0.7, 5.0)


def test_the_verdict_names_where_convfleet_is_behind():
    tables = {
        "won": rows_of([played(CONVFLEET, (10.0, 0.9)), played("other", (40.0, 0.5), (60.0, 0.89))]),
        "tied": rows_of([played(CONVFLEET, (10.0, 0.88)), played("other", (20.0, 0.89))]),
        "lost": rows_of([played(CONVFLEET, (10.0, 0.3)), played("other", (40.0, 0.9)), played(SCRIPT, (5.0, 0.89))]),
    }
    said = "; ".join(verdict(tables))
    assert "first on 1, tied on 1 and behind on 1 data sets" in said
    assert "lost (by 0.600, other)" in said
    assert "0.50 of the soonest other tool's (median of 3 data sets)" in said
    assert "inf of the plain script's (median of 1 data sets)" in said


@pytest.fixture
def short_folder():
    # Not below pytest's own folder: the names of Ray's sockets may have 107 letters in all.
    folder = Path(tempfile.mkdtemp(prefix="r"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "contestant",
    [
        "plain_keras",
        # Of these, half a minute each.
        pytest.param(CONVFLEET, marks=pytest.mark.long),
        pytest.param("optuna_example", marks=pytest.mark.long),
    ],
)
def test_a_contestant_is_judged_by_the_test_split_after_its_time(contestant, short_folder, capfd):
    images = np.zeros((300, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(300) % 2
    images[labels == 1, 4:] = 255
    images ^= np.random.default_rng(0).integers(0, 60, images.shape, dtype=np.uint8)
    halves = (Split(images=images[at : at + 150], labels=labels[at : at + 150]) for at in (0, 150))
    train, test = halves
    write(DataSet(class_names=("lower", "upper"), train=train, test=test), short_folder / "data")
    item = play(contestant, data_set="made", seed=0, data=short_folder / "data", minutes=0.4)
    assert not item.problem
    assert item.count == 150
    assert item.accuracy > 0.9
    assert item.incumbents[0][0] > 0
    # convfleet lets epochs end that are under way: how long they take is the machine's affair.
    assert item.incumbents[-1][0] <= 24 or contestant == CONVFLEET
    assert [seconds for seconds, _ in item.incumbents] == sorted(seconds for seconds, _ in item.incumbents)


def test_every_contestant_is_a_module_of_its_own():
    folder = Path(sys.modules["first_run"].__file__).parent
    for module, _ in CONTESTANTS.values():
        assert (folder / f"{module.partition('.')[2]}.py").is_file()
