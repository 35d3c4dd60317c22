"""A journal's trials are checked against the study's space before proposals follow from them."""

from typing import Any

import pytest

from orchestrator.errors import JournalError
from orchestrator.journal.trial import Trial
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.spec import StudySpec
from search_spaces import Variant, space_from_mapping

SPACE = {"family": "residual", "params": {"filters": {"choice": [8, 16]}, "dropout": {"float": [0, 0.3], "step": 0.1}}}
STUDY = {
    "name": "s",
    "seed": 7,
    "data": {"source": "digits"},
    "space": space_from_mapping(SPACE),
    "objective": {"metric": "val_accuracy"},
    "search": {"algorithm": "random"},
    "schedule": {"max_epochs": 3},
}


@pytest.mark.parametrize(
    "params",
    [{"filters": 8, "depth": 3}, {"filters": "many", "dropout": 0.1}, {"filters": 8, "dropout": "some"}],
    ids=["unknown parameter", "text for a choice", "text for a number"],
)
def test_trial_that_is_none_of_the_study_is_refused_in_words(params: dict[str, Any]) -> None:
    variant = Variant.from_json({"family": "residual", "params": params, "seed": 7})
    stranger = Trial(name="t0000", number=0, variant=variant, proposed_at=0.0)
    proposer = Proposer(StudySpec.model_validate(STUDY))
    with pytest.raises(JournalError, match=r"trial t0000: its variant or reports cannot be this study's \("):
        proposer.remember([stranger])
