"""What workers passed over when a session ended: the next one begins it, unless the study has had enough."""

from typing import Any

import open_journals
from driven_studies import spec_of
from open_journals import WORKER, proposed
from ray.tune.search import Searcher

from orchestrator.journal.records import EpochReported, SessionStarted, TrialStarted
from orchestrator.journal.trial import TrialState
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.sections import Search
from orchestrator.tuning.budgets import Budgets
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.searcher import VariantSearcher

REPORT = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}


def begun_in_a_session(rig: open_journals.Rig, *, minutes: float) -> list[Any]:
    """Returns the trials that the next session begins, up to three, or Ray Tune's word that there is none."""
    listener = TuneListener(rig.recorder, budgets=Budgets(rig.recorder, Search(minutes=minutes)))
    searcher = VariantSearcher(Proposer(spec_of()), listener=listener, num_trials=3)
    answers = [searcher.suggest(name) for name in "abc"]
    return [answer["trial"] if isinstance(answer, dict) else answer for answer in answers]


def test_what_was_passed_over_waits_for_a_session_with_a_larger_budget(rig: open_journals.Rig) -> None:
    recorder = rig.recorder
    for number in (1, 2):
        recorder.append(proposed(number))
    recorder.append(SessionStarted(driver_pid=1, slots=1, began_at=10.0, minutes=1.0, at=100.0))
    recorder.append(TrialStarted(trial="t0000", at=100.0))
    assert begun_in_a_session(rig, minutes=1.0)[:2] == ["t0000", Searcher.FINISHED], "it gets its first epoch"
    recorder.append(EpochReported(trial="t0000", report={**REPORT, "is_last": True}, worker=WORKER, at=100.0))
    assert begun_in_a_session(rig, minutes=1.0) == [Searcher.FINISHED] * 3
    assert [trial.state for trial in recorder.state.trials.values()][1:] == [TrialState.WAITING] * 2
    assert begun_in_a_session(rig, minutes=60.0) == ["t0001", "t0002", Searcher.FINISHED]
