"""What the estimator sees of many trials, and that it is the same after a resume at any of them."""

import pytest
from played_studies import MIXED, play, score, spec_of

from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search import history as history_module
from orchestrator.search.algorithms.proposer import Proposer
from search_spaces import space_from_mapping


@pytest.mark.parametrize("seed", range(3))
def test_a_window_on_many_trials_is_the_same_after_a_resume_at_any_of_them(monkeypatch, seed):
    monkeypatch.setattr(history_module, "WINDOW", 12)
    monkeypatch.setattr(history_module, "WINDOW_STEP", 6)
    monkeypatch.setattr(history_module, "WINDOW_BEST", 4)
    spec = spec_of(space_from_mapping(MIXED), algorithm="tpe", seed=seed)
    live, trials = Proposer(spec), []
    # One trial runs on while the window passes over it.
    slow, ends_at = 5 + seed, 33 + seed
    for number in range(46):
        resumed = Proposer(spec)
        resumed.remember(trials)
        variant = live.propose(number)
        assert resumed.propose(number) == variant, f"after {number} trials"
        trials.append(Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0))
        due = {number - 2, number - 1 if number % 5 == 0 else number - 2}
        due = {item for item in due if item >= 0 and item != slow and not trials[item].has_ended}
        for item in sorted(due | ({slow} if number == ends_at else set())):
            trials[item] = play(item, trials[item].variant, value=score)
            live.end_trial(trials[item])


def test_of_many_trials_the_last_and_the_best_before_them_are_learned_from(monkeypatch) -> None:
    monkeypatch.setattr(history_module, "WINDOW", 12)
    monkeypatch.setattr(history_module, "WINDOW_STEP", 6)
    monkeypatch.setattr(history_module, "WINDOW_BEST", 4)
    spec = spec_of(space_from_mapping(MIXED), algorithm="tpe")
    proposer, values = Proposer(spec), {}
    for number in range(31):
        variant = proposer.propose(number)
        trial = play(number, variant, value=score)
        if trial.failure is None:
            values[number] = max(report.metrics["val_accuracy"] for report in trial.reports)
        proposer.end_trial(trial)
    # Proposing trial 30 began a window at 30 // 6 - 12 // 6 = 3 steps of 6.
    best = sorted(sorted((number for number in values if number < 18), key=lambda number: -values[number])[:4])
    assert [item.number for item in proposer._history.seen()] == [*best, *range(18, 31)]
