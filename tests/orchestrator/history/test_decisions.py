"""Every record of a journal has one sentence, also of kinds that nobody has a sentence for."""

from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from made_up_journals import journals
from record_samples import sweep

from orchestrator.history.decisions import DECISION_KINDS, Teller, decisions, kind_of
from orchestrator.journal.records import (
    EpochReported,
    Record,
    StudyPaused,
    TrialFailed,
    TrialHeld,
    TrialNoted,
    TrialPromoted,
    TrialReplaced,
    TrialStarted,
    TrialStopped,
    WorkerLost,
    record_to_json,
)
from orchestrator.journal.steering_records import (
    AnnotationAdded,
    PauseAsked,
    StudyTagged,
    TrialKept,
    TrialStarred,
    TrialStopAsked,
    VariantAsked,
)

ASHA = "asha: val_accuracy 0.4 at epoch 3 is outside the best 1/3"


@settings(max_examples=30, deadline=None)
@given(records=journals())
def test_each_record_of_any_journal_is_one_line_about_its_trial(records: list[Record]) -> None:
    told = decisions(records)
    assert [item.line for item in told] == list(range(1, len(records) + 1))
    for item, record in zip(told, records, strict=True):
        assert (item.at, item.kind) == (record.at, record_to_json(record)["type"])
        assert item.kind in DECISION_KINDS
        assert item.text
        assert item.text.isprintable()
        assert item.trial == getattr(record, "trial", "")
        assert item.trial in item.text or not isinstance(record, TrialStarted | EpochReported | TrialStopped)


@settings(max_examples=30, deadline=None)
@given(records=journals())
def test_a_journal_that_is_followed_is_told_as_one_that_is_read_at_once(records: list[Record]) -> None:
    teller = Teller()
    assert [item for record in records for item in teller.add([record])] == decisions(records)


def test_every_kind_of_record_has_a_name_of_its_own_for_many() -> None:
    assert list(DECISION_KINDS) == [kind_of(kind) for kind in get_args(Record)]
    assert len(set(DECISION_KINDS.values())) == len(DECISION_KINDS)
    assert not any(name == kind.replace("_", " ") for kind, name in DECISION_KINDS.items())


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (TrialStopped(trial="t0004", epoch=3, reason=ASHA, at=1.0), f"asha stopped t0004 after epoch 3: {ASHA[6:]}"),
        (
            TrialStopped(trial="t0004", epoch=3, reason="hyperband, bracket 1 of 3: weak", at=1.0),
            "hyperband, bracket 1 of 3 stopped t0004 after epoch 3: weak",
        ),
        (
            TrialStopped(trial="t0004", epoch=3, reason="search.epochs: 40 epochs were trained", at=1.0),
            "t0004 stopped after epoch 3: search.epochs: 40 epochs were trained",
        ),
        (TrialHeld(trial="t0004", epoch=3, reason="asha: waits", at=1.0), "t0004 waits after epoch 3: asha: waits"),
        (
            TrialPromoted(trial="t0004", epoch=3, reason="asha: good", at=1.0),
            "t0004 was promoted after epoch 3: asha: good",
        ),
        (TrialFailed(trial="t0004", kind="diverged", reason="nan", at=1.0), "t0004 failed (diverged): nan"),
        (TrialFailed(trial="t0004", kind="infeasible", reason="small", at=1.0), "t0004 is infeasible: small"),
        (WorkerLost(trial="t0004", reason="killed", at=1.0), "the worker of t0004 was lost: killed"),
        (
            WorkerLost(trial="t0004", reason="no report", kind="timed_out", at=1.0),
            "the worker of t0004 was silent for too long: no report",
        ),
        (TrialNoted(trial="t0004", kind="callbacks", text="a\nb", at=1.0), "note on t0004: a b"),
        (StudyPaused(reason="interrupted", at=1.0), "the study paused: interrupted"),
        (TrialStopAsked(request="r", trial="t0004", at=1.0), "a person asked that t0004 ends"),
        (
            TrialKept(request="r", trial="t0004", keep=True, at=1.0),
            "a person asked for t0004 that early stopping lets it go on",
        ),
        (
            TrialKept(request="r", trial="t0004", keep=False, at=1.0),
            "a person asked for t0004 that early stopping decides about it again",
        ),
        (TrialStarred(request="r", trial="t0004", starred=True, at=1.0), "a person gave t0004 a star"),
        (TrialStarred(request="r", trial="t0004", starred=False, at=1.0), "a person took the star of t0004"),
        (AnnotationAdded(request="r", trial="", text="odd\nday", at=1.0), "a person wrote about the study: odd day"),
        (
            VariantAsked(request="r", variant={"family": "sequential", "params": {"filters": 8}}, at=1.0),
            "a person asked for a variant: sequential filters=8",
        ),
        (StudyTagged(request="r", tags=["a", "b c"], tagged=True, at=1.0), "a person tagged the study: a, b c"),
        (
            StudyTagged(request="r", tags=["a"], tagged=False, at=1.0),
            "a person took tags of the study away: a",
        ),
        (PauseAsked(request="r", at=1.0), "a person asked that the study pauses"),
    ],
)
def test_sentences(record: Record, text: str) -> None:
    assert decisions([record])[0].text == text


def test_a_report_says_its_value_and_a_start_whether_it_goes_on() -> None:
    texts = [item.text for item in decisions(sweep())]
    assert "t0000 reported epoch 2: val_accuracy 0.4312" in texts
    assert any(text.startswith("t0000 reported epoch 9: val_accuracy") and text.endswith("complete") for text in texts)
    records = [*sweep()[:6], TrialStarted(trial="t0000", at=1e9)]
    assert [item.text for item in decisions(records)][3::3] == ["t0000 started", "t0000 goes on after epoch 2"]


def test_one_that_takes_anothers_place_starts_from_that_ones_checkpoint() -> None:
    replaced = TrialReplaced(
        trial="t0009",
        number=9,
        variant={"family": "sequential", "params": {}, "seed": 0},
        parent="t0001",
        from_epoch=4,
        replaces="t0002",
        epoch=6,
        reason="pbt: weak",
        at=1.0,
    )
    texts = [item.text for item in decisions([replaced, TrialStarted(trial="t0009", at=2.0)])]
    assert texts == [
        "t0009 takes the place of t0002 after epoch 6 and goes on from t0001 at epoch 4: pbt: weak",
        "t0009 started after epoch 4 of the trial that it goes on from",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySteered:
    """A record of a later version."""

    trial: str = ""
    action: str
    value: Any = None
    reason: str = ""
    at: float


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (StudySteered(action="pause", at=1.0), "study steered: action 'pause'"),
        (
            StudySteered(trial="t0004", action="stop", value=3, reason="enough", at=1.0),
            "study steered (t0004): enough (action 'stop', value 3)",
        ),
        (StudySteered(action="", at=1.0), "study steered"),
    ],
)
def test_a_kind_that_nobody_knows_is_told_by_what_it_holds(record: Any, text: str) -> None:
    told = decisions([record])[0]
    assert (told.kind, told.text) == ("study_steered", text)
