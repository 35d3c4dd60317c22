"""What the searcher of Ray Tune asks the proposer for."""

import itertools
from types import SimpleNamespace
from typing import Any

from driven_studies import opened_of, spec_of

from orchestrator.journal.records import EpochReported, SessionStarted, TrialProposed, TrialStarted
from orchestrator.journal.study_state import StudyState
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.tuning.searcher import VariantSearcher


def test_a_proposal_sees_the_reports_of_the_trials_that_run() -> None:
    spec, state, seen = spec_of(), StudyState(), []
    variant: Any = Proposer(spec).propose(0)
    report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
    for record in (
        opened_of(spec),
        SessionStarted(driver_pid=1, slots=2, at=0.0),
        TrialProposed(trial="t0000", number=0, variant=variant.to_json(), at=0.0),
        TrialStarted(trial="t0000", at=0.0),
        EpochReported(trial="t0000", report={**report, "is_last": False}, worker={}, at=1.0),
    ):
        state.apply(record)

    class Seeing(Proposer):
        def propose(self, number: int, *, running: Any = (), num_asked: int = 0) -> Any:
            seen.extend((trial.name, trial.epoch) for trial in running)
            return super().propose(number, running=running, num_asked=num_asked)

    proposer = Seeing(spec)
    proposer.remember(state.trials.values())
    recorder = SimpleNamespace(state=state, append=state.apply, now=lambda: 2.0, trial=lambda name: state.trials[name])
    budgets = SimpleNamespace(is_over=False, leaves_room=True, ends=lambda trial: False)
    listener: Any = SimpleNamespace(recorder=recorder, budgets=budgets, starts=itertools.count(1))
    searcher = VariantSearcher(proposer, listener=listener, num_trials=4)
    searcher.suggest("tune-0")
    assert seen == []
    searcher.suggest("tune-1")
    assert seen == [("t0000", 1)]
