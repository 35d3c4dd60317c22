"""A study's id stays what it was when a version adds keys, and changes with all that results depend on."""

import json
from pathlib import Path

import pytest

from orchestrator import InputError, load_study
from trainables.specs.data import DataSpec
from trainables.specs.targets import TargetSpec

KEPT = Path(__file__).parents[2] / "formats"


@pytest.mark.parametrize("run", sorted(KEPT.glob("*/*/study.yaml")), ids=lambda path: path.parent.name)
def test_kept_studies_have_the_id_that_their_journal_has(run):
    with (run.parent / "journal.jsonl").open(encoding="utf-8") as journal:
        opened = json.loads(journal.readline())
    assert load_study(run).study_id == opened["study_id"]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("seed=9", True),
        ("data.limit=900", True),
        ("data.targets.ink.weight=2.0", True),
        ("data.targets.ink.loss=huber", True),
        ("data.augment.flip=horizontal", True),
        ("data.augment.rand_augment={num_ops: 3, magnitude: 5}", True),
        ("search.trials=3", True),
        ("objective.metric=loss", True),
        ("data.cache_dir=/tmp/x", False),
        ("data.memory_gb=3", False),
        ("data.allow_overlap=true", False),
        ("resources.retries=7", False),
        ("export.top=9", False),
    ],
)
def test_id_follows_from_what_results_depend_on(change, counts):
    base = ["data.targets.ink={kind: regression}", "objective.metric=val_loss"]
    plain = load_study("multitask", overrides=base)
    assert (load_study("multitask", overrides=[*base, change]).study_id != plain.study_id) == counts


def test_key_of_a_later_version_counts_once_it_is_used():
    """`columns` and `label_separator` came after the first version."""
    plain = load_study("multitask")
    used = plain.data.model_copy(update={"label_separator": "|"})
    assert plain.model_copy(update={"data": used}).study_id != plain.study_id
    targets = {**plain.data.targets, "ink": plain.data.targets["ink"].model_copy(update={"columns": ("a", "b")})}
    used = plain.data.model_copy(update={"targets": targets})
    assert plain.model_copy(update={"data": used}).study_id != plain.study_id
    assert {"label_separator", "allow_overlap"} <= set(DataSpec.model_fields)
    assert "columns" in TargetSpec.model_fields


def test_references_are_on_unless_turned_off_and_count_for_nothing():
    study = load_study("quickstart")
    without = load_study("quickstart", overrides=["references=false"])
    assert (study.references, without.references) == (True, False)
    assert study.study_id == without.study_id
    with pytest.raises(InputError, match="references: must be a valid boolean"):
        load_study("quickstart", overrides=["references=yes please"])
