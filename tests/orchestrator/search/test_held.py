"""What searches learn of trials that wait at rungs: as much as of stopped ones, until they go on."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from played_studies import MIXED, score, spec_of

from orchestrator.journal.records import TrialHeld, TrialStopped
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search import history as history_module
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.history import History
from orchestrator.study.sections import STARTUP_TRIALS
from search_spaces import Variant, space_from_mapping
from trainables.reports import EpochReport

SPACE = space_from_mapping(MIXED)
#: Those that learn from trials that wait.
LEARNING = ["tpe", "bohb", "gp", "nsga2", "nsga3"]


def held(number: int, variant: Variant, *, num_epochs: int = 1) -> Trial:
    """Returns a trial that waits after so many epochs."""
    trial = Trial(name=trial_name(number), number=number, variant=variant, proposed_at=0.0, started_at=[0.0])
    for epoch in range(1, num_epochs + 1):
        metrics = {"val_accuracy": score(variant) * (1 - 0.5**epoch)}
        trial.reports.append(EpochReport(epoch=epoch, metrics=metrics, train_seconds=1.0, images_per_second=1.0))
        trial.reported_at.append(1.0)
    trial.held = TrialHeld(trial=trial.name, epoch=num_epochs, reason="waits", at=1.0)
    assert trial.is_held
    return trial


def stopped(trial: Trial) -> Trial:
    """Returns a trial that waits as one that was stopped there."""
    return replace(trial, held=None, stop=TrialStopped(trial=trial.name, epoch=trial.epoch, reason="weak", at=1.0))


def going_on(trial: Trial) -> Trial:
    return replace(trial, held=None, is_with_worker=True)


@pytest.mark.parametrize("algorithm", LEARNING)
def test_a_trial_that_waits_teaches_what_a_stopped_one_does(algorithm: str) -> None:
    spec = spec_of(SPACE, algorithm=algorithm)
    first = [Proposer(spec_of(SPACE, algorithm="random", seed=seed)).propose(0) for seed in range(STARTUP_TRIALS + 6)]
    waiting = [held(number, variant) for number, variant in enumerate(first) if variant is not None]

    def proposed(trials: Sequence[Trial], number: int) -> Variant | None:
        proposer = Proposer(spec)
        proposer.remember(trials)
        return proposer.propose(number, running=[trial for trial in trials if not trial.has_ended])

    # A proposal of the model takes a while.
    numbers = range(len(waiting), len(waiting) + (1 if algorithm == "gp" else 4))
    silent = [replace(trial, held=None, reports=[], reported_at=[]) for trial in waiting]
    found, as_stopped, unknown = (
        [proposed(trials, number) for number in numbers] for trials in (waiting, list(map(stopped, waiting)), silent)
    )
    assert found == as_stopped
    assert found != unknown


@pytest.mark.parametrize("algorithm", [*LEARNING, "cmaes"])
def test_a_resumed_search_goes_on_as_the_undisturbed_one_whoever_waits(algorithm: str, monkeypatch) -> None:
    monkeypatch.setattr(history_module, "WINDOW", 8)
    monkeypatch.setattr(history_module, "WINDOW_STEP", 4)
    monkeypatch.setattr(history_module, "WINDOW_BEST", 3)
    count = 14 if algorithm == "gp" else 24
    spec = spec_of(SPACE, algorithm=algorithm)
    live, trials = Proposer(spec), []
    for number in range(count):
        resumed = Proposer(spec)
        resumed.remember(trials)
        unfinished = [trial for trial in trials if not trial.has_ended]
        variant = live.propose(number, running=unfinished)
        assert variant is not None
        assert resumed.propose(number, running=unfinished) == variant, f"after {number} trials"
        trials.append(held(number, variant, num_epochs=1 + number % 2))
        if number % 5 == 4:
            # One goes on, ...
            trials[number - 3] = going_on(trials[number - 3])
        if number % 5 == 1 and number > 5:
            # ... comes farther and waits again, ...
            trials[number - 5] = held(number - 5, trials[number - 5].variant, num_epochs=3)
        if number % 5 == 2 and number > 7:
            # ... and ends at last.
            trials[number - 6] = stopped(trials[number - 6])
            live.end_trial(trials[number - 6])


def test_a_trial_that_goes_on_is_as_unknown_as_before_it_waited() -> None:
    spec = spec_of(SPACE, algorithm="tpe")
    history = History(EncodedSpace(SPACE), objective=spec.objective, is_kept=True)
    before = None
    for number in range(4):
        variant = Proposer(spec_of(SPACE, algorithm="random", seed=number)).propose(0)
        assert variant is not None
        history.accept(number, {"family": variant.family, **variant.params})
        before = held(number, variant)
        history.observe([before])
        assert (history.num_with_values, len(history.seen())) == (1, number + 1)
        assert history.tried[number].value == before.reports[-1].metrics["val_accuracy"]
        history.observe([going_on(before)])
        assert (history.num_with_values, history.tried[number].value, history.common()) == (0, None, {})
        assert {item.state.name for item in history.seen()} == {"RUNNING"}
