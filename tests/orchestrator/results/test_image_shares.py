"""Which numbers have intervals, which ranks are tied, and what is said of luck."""

import json
from dataclasses import replace

import pytest

from orchestrator.journal.records import ModelExported
from orchestrator.journal.study_state import fold
from orchestrator.results.image_shares import ImageShares, chance_notes, image_shares
from orchestrator.runs.paths import RunFolder

SHARES = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 14, "test": 20})


def lucky(begin, make_reported, *, shares=(5, 8, 4, 3, 6), count=14):
    """Returns the records of a trial of guesses, an epoch each, that ends at its last."""
    records = begin(max_epochs=len(shares))
    for epoch, hits in enumerate(shares, start=1):
        record = make_reported(0, epoch, at=110.0 + epoch, value=hits / count)
        records.append(replace(record, report={**record.report, "is_last": epoch == len(shares)}))
    return records


def test_interval_is_given_to_shares_of_a_splits_images_alone():
    assert SHARES.interval("val_accuracy", 7 / 14) == pytest.approx((0.268, 0.732), abs=1e-3)
    assert SHARES.interval("test_accuracy", 0.5) == pytest.approx((0.299, 0.701), abs=1e-3)
    assert SHARES.interval("accuracy", 0.5) is None  # of training images, while they train
    assert SHARES.interval("val_loss", 0.5) is None
    assert SHARES.interval("val_accuracy", None) is None
    assert SHARES.interval("val_accuracy", float("nan")) is None


def test_number_that_is_no_share_of_so_many_images_has_no_interval():
    assert SHARES.interval("val_accuracy", 0.4) is None  # 5.6 images
    assert SHARES.interval("val_accuracy", 3.0) is None
    assert SHARES.interval("val_accuracy", float("0.35714287")) is not None  # 5 images in float32


def test_ranks_are_tied_as_far_as_intervals_overlap_with_the_firsts():
    shares = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 100})
    assert shares.rank_labels("val_accuracy", [0.95, 0.9, 0.6, 0.5]) == ["1=", "1=", "3", "4"]
    assert shares.rank_labels("val_accuracy", [0.95, 0.6]) == ["1", "2"]
    assert shares.rank_labels("val_loss", [0.1, 0.1]) == ["1", "2"]
    assert shares.rank_labels("val_accuracy", []) == []


@pytest.mark.parametrize(
    "data",
    [None, {}, {"shares": 3}, {"shares": {"metrics": "accuracy", "images": {}}}, {"shares": {"metrics": ["accuracy"]}}],
)
def test_runs_that_kept_nothing_of_it_have_no_intervals(tmp_path, data):
    (tmp_path / "environment.json").write_text(json.dumps({"sessions": [{"data": data}]}))
    found = image_shares(RunFolder(tmp_path))
    assert found.interval("val_accuracy", 0.5) is None
    assert image_shares(RunFolder(tmp_path / "missing")) == ImageShares()


def test_what_the_last_session_kept_is_read(tmp_path):
    kept = {"metrics": ["accuracy"], "images": {"validation": 14, "test": 20, "strange": "x"}}
    (tmp_path / "environment.json").write_text(json.dumps({"sessions": [{}, {"data": {"shares": kept}}]}))
    assert image_shares(RunFolder(tmp_path)) == SHARES


def test_best_of_several_on_few_images_is_said_to_drop(begin, make_reported):
    (note,) = chance_notes(fold(lucky(begin, make_reported)), SHARES)
    assert note == "best of 5 epochs on 14 validation images: expect about 0.19 less on new ones"


def test_nothing_is_said_of_many_images_of_a_loss_or_of_runs_without_intervals(begin, make_reported):
    records = lucky(begin, make_reported, shares=(500, 510, 505, 507), count=14_000)
    many = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 14_000})
    assert chance_notes(fold(records), many) == []
    assert chance_notes(fold(lucky(begin, make_reported)), ImageShares()) == []
    by_loss = [
        replace(record, metric="val_loss", mode="min") if hasattr(record, "metric") else record for record in records
    ]
    assert chance_notes(fold(by_loss), many) == []


@pytest.mark.parametrize(
    ("test_accuracy", "said"),
    [
        (0.3, "t0000: accuracy 0.9286 on 14 validation images and 0.3 on 20 test images, 0.63 less: more than chance "),
        (0.75, ""),
        (0.9, ""),
    ],
)
def test_gap_between_validation_and_test_is_told_where_chance_does_not_explain_it(
    begin, make_reported, test_accuracy, said
):
    records = lucky(begin, make_reported, shares=(13,))
    exported = {"trial": "t0000", "rank": 1, "folder": "exports/1-t0000", "at": 200.0}
    records.append(ModelExported(**exported, test_metrics={"accuracy": test_accuracy}))
    notes = chance_notes(fold(records), SHARES)
    assert [note[: len(said)] for note in notes] == ([said] if said else [])
    assert not said or notes[0].endswith("allows (p = 0.00028); go by the test value")
