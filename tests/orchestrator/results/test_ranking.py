"""One order of trials: the leaderboard, the summary and the checkpoint budget rank every study alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_samples import MAX_EPOCHS, opened, proposed, reported

from orchestrator.disk.checkpoint_budget import Role, roles
from orchestrator.journal.records import TrialFailed, TrialStopped
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.results.from_state import best_so_far, leaders
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.ranking import rank_key
from orchestrator.results.tables import trials_table

#: Few values, so that many trials are equally good.
VALUES = st.sampled_from([-1.0, 0.0, 0.5, 0.9])


@st.composite
def states(draw: st.DrawFn) -> StudyState:
    """Returns a study whose trials have ended in every way, or not yet; names of four digits and of five."""
    first = draw(st.sampled_from([0, 9_996]))
    records = [opened(mode=draw(st.sampled_from(["max", "min"])))]
    for number in range(first, first + draw(st.integers(0, 8))):
        name, values = f"t{number:04d}", draw(st.lists(VALUES, max_size=3) | st.just([0.5] * MAX_EPOCHS))
        records.append(proposed(number, at=1.0, params={}))
        records += [reported(number, epoch, at=2.0, value=value) for epoch, value in enumerate(values, start=1)]
        ending = draw(st.sampled_from(["open", "stopped", "failed"])) if len(values) < MAX_EPOCHS else "completed"
        if ending == "stopped" and values:
            records.append(TrialStopped(trial=name, epoch=len(values), reason="asha: weak", at=3.0))
        elif ending == "failed":
            records.append(TrialFailed(trial=name, kind="diverged", reason="bad", at=3.0))
    return fold(records)


@given(state=states(), k=st.integers(0, 9))
def test_leaderboard_summary_and_checkpoint_budget_have_the_same_order(state, k):
    header = state.header
    board = leaderboard(trials_table(state), metric=header.metric, mode=header.mode, k=k)
    ranked = [trial.name for trial, _ in leaders(state, k=9)]
    ended = [item.trial for item in roles(state, top=k) if item.role is not Role.RESUMABLE]
    assert board["trial"].to_pylist() == ranked[:k]
    assert ended[: len(ranked)] == ranked
    assert {item.trial for item in roles(state, top=k) if item.role is Role.LEADER} >= set(ranked[: max(1, k)])
    if ranked and all(trial.has_ended for trial in state.trials.values()):
        assert best_so_far(state)[0].name == ranked[0]


@pytest.mark.parametrize(
    ("mode", "better", "worse"),
    [
        ("max", (0.9, 9, "t1"), (0.5, 1, "t0")),
        ("min", (0.5, 9, "t1"), (0.9, 1, "t0")),
        ("max", (0.9, 3, "t1"), (0.9, 9, "t0")),
        ("min", (0.9, 3, "t0"), (0.9, 3, "t1")),
    ],
)
def test_value_counts_first_then_fewer_epochs_then_the_name(mode, better, worse):
    keys = [rank_key(value, epochs=epochs, name=name, mode=mode) for value, epochs, name in (better, worse)]
    assert keys[0] < keys[1]
