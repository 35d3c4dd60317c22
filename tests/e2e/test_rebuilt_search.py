"""What a real run proposed beside running trials follows from its journal before each proposal alone."""

import pytest

from orchestrator.journal.file import read_journal
from orchestrator.journal.records import TrialProposed
from orchestrator.journal.study_state import fold
from orchestrator.runs.folder import open_run_folder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.loading import load_study

pytestmark = pytest.mark.slow


def test_bohb_proposes_what_it_would_from_the_journal_alone(joined):
    study = joined.write_study(
        "live",
        space={
            "family": "sequential",
            "params": {"filters": 4, "learning_rate": {"float": [1e-3, 1e-1], "log": True}, "batch_size": 64},
        },
        search={"algorithm": "bohb", "trials": 9},
        schedule={"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1},
        resources={"max_concurrent": 2},
        export={"top": 0},
    )
    joined.run("run", study)
    folder = open_run_folder(joined.folder / "runs" / "live")
    spec, records = load_study(folder.study), list(read_journal(folder.journal))
    num_beside = 0
    for place, record in enumerate(records):
        if not isinstance(record, TrialProposed):
            continue
        state, proposer = fold(records[:place]), Proposer(spec)
        proposer.remember(state.trials.values())
        variant = proposer.propose(record.number, running=state.unfinished)
        assert variant is not None
        assert variant.to_json() == record.variant
        num_beside += any(trial.reports for trial in state.unfinished)
    assert num_beside
