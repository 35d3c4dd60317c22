"""A steered study that is cut anywhere goes on as the undisturbed one: same trials, same ends, same decisions."""

import hashlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driven_studies import drive, noisy, spec_of

from orchestrator.errors import InputError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    Record,
    StudyExtended,
    StudyFinished,
    TrialHeld,
    TrialPromoted,
    TrialProposed,
    TrialStopped,
)
from orchestrator.journal.steering_records import VariantAsked
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState, is_stopped_by_hand
from orchestrator.steering.decisions import Asked, decide
from orchestrator.steering.requests import AddVariant, Annotate, KeepTrial, Request, Star, StopTrial
from orchestrator.study.spec import StudySpec

Interfere = Callable[[Recorder, str, int], None]
NO_RACE = {"replicates": 0, "leaders": 1}


def asking(spec: StudySpec, choose: Callable[[StudyState, str, int], Request | None]) -> Interfere:
    """Returns what asks something before a trial reports an epoch, once for each trial and epoch."""

    def interfere(recorder: Recorder, trial: str, epoch: int) -> None:
        number = int(trial[1:]) * 1000 + epoch
        request_id = f"{number:020d}-{number:08x}"
        request = choose(recorder.state, trial, epoch)
        if request is None or request_id in recorder.state.steering.requests:
            return
        try:
            decision = decide(Asked(request=request, request_id=request_id, at=100.0), recorder.state, spec=spec)
        except InputError:
            return
        if decision.record is not None:
            recorder.append(decision.record)

    return interfere


def at_random(seed: int) -> Callable[[StudyState, str, int], Request | None]:
    """Returns what asks for anything at any time; what it is follows from the seed and the time alone."""

    def choose(state: StudyState, trial: str, epoch: int) -> Request | None:
        digest = hashlib.sha256(f"{seed} {trial} {epoch}".encode()).digest()
        chance = random.Random(digest)
        # Who waits and is to end does so at once after a resume, and else when Ray Tune takes its next step.
        others = sorted(item.name for item in state.unfinished if item.steering.stop is None)
        other = chance.choice([trial, *others])
        params = {"filters": chance.choice([4, 8, 16, 32]), "dropout": chance.random() / 2}
        requests = [
            StopTrial(trial=other),
            KeepTrial(trial=other),
            KeepTrial(trial=other, keep=False),
            AddVariant(params=params),
            Star(trial=other),
            Annotate(trial=other, text="seen"),
        ]
        return chance.choice(requests) if chance.random() < 0.4 else None

    return choose


def ends(state: StudyState) -> list[tuple[Any, ...]]:
    return [
        (
            trial.name,
            trial.variant.variant_id,
            trial.state.value,
            trial.epoch,
            trial.reason,
            trial.steering.is_asked,
            trial.steering.is_kept,
        )
        for trial in state.trials.values()
    ]


def decisions(records: list[Record]) -> list[str]:
    kinds = TrialHeld | TrialPromoted | TrialStopped
    found = [(type(item).__name__, item.trial, item.epoch, item.reason) for item in records if isinstance(item, kinds)]
    return sorted(map(repr, found))


@pytest.mark.parametrize(
    ("seed", "settings"),
    [
        (1, {"promotion": True, "max_epochs": 9}),
        (2, {"promotion": True, "max_epochs": 9, "algorithm": "tpe"}),
        (3, {"max_epochs": 6}),
        (4, {"max_epochs": 6, "schedule": "median", "algorithm": "cmaes"}),
        (5, {"max_epochs": 6, "schedule": "hyperband", "algorithm": "sobol", "epochs": 24}),
        (6, {"max_epochs": 6, "start_with": ({"filters": 4, "dropout": 0.1}, {"filters": 8, "dropout": 0.2})}),
    ],
)
def test_steered_study_cut_anywhere_goes_on_as_the_undisturbed_one(
    tmp_path: Path, seed: int, settings: dict[str, Any]
) -> None:
    spec = spec_of(trials=9, **NO_RACE, **settings)
    interfere = asking(spec, at_random(seed))
    whole = drive(tmp_path / "whole", spec, interfere=interfere)
    undisturbed = fold(whole)
    assert undisturbed.steering.requests
    # Every third place, and another third for each seed.
    for length in range(2 + seed % 3, len(whole) + 1, 3):
        resumed = drive(tmp_path / f"cut-{length}", spec, before=whole[:length], interfere=interfere)
        assert ends(fold(resumed)) == ends(undisturbed), f"cut after {whole[length - 1]}"
        assert decisions(resumed) == decisions(whole), f"cut after {whole[length - 1]}"


def test_random_steering_holds_every_effect(tmp_path: Path) -> None:
    seen: set[str] = set()
    for seed in (1, 2, 3, 6):
        spec = spec_of(trials=9, promotion=seed < 3, max_epochs=9, **NO_RACE)
        records = drive(tmp_path / str(seed), spec, interfere=asking(spec, at_random(seed)))
        state = fold(records)
        seen |= {"stopped" for trial in state.trials.values() if is_stopped_by_hand(trial)}
        seen |= {"added" for trial in state.trials.values() if trial.steering.is_asked}
        seen |= {"kept" for item in records if isinstance(item, TrialPromoted) and item.reason == "kept by hand"}
        assert all(trial.has_ended for trial in state.trials.values())
        assert not state.steering.waiting
    assert seen == {"stopped", "added", "kept"}


def only(request: Request, *, trial: str, epoch: int) -> Callable[[StudyState, str, int], Request | None]:
    return lambda state, name, at: request if (name, at) == (trial, epoch) else None


def test_stopped_trial_ends_after_its_next_report_and_the_others_as_ever(tmp_path: Path) -> None:
    spec = spec_of(trials=4, schedule="none", max_epochs=5, **NO_RACE)
    plain = fold(drive(tmp_path / "plain", spec))
    asked = asking(spec, only(StopTrial(trial="t0001"), trial="t0001", epoch=3))
    state = fold(drive(tmp_path / "steered", spec, interfere=asked))
    stopped = state.trials["t0001"]
    assert (stopped.state, stopped.epoch, stopped.reason) == (TrialState.STOPPED, 3, "stopped by hand after epoch 3")
    assert [end for end in ends(state) if end[0] != "t0001"] == [end for end in ends(plain) if end[0] != "t0001"]


def test_trial_of_an_earlier_session_that_waits_for_a_worker_ends_without_another_report(tmp_path: Path) -> None:
    spec = spec_of(trials=2, schedule="none", max_epochs=5, **NO_RACE)
    whole = drive(tmp_path / "whole", spec)
    # Both trials had begun and reported: the first three epochs of each, as if two workers had trained.
    begun = [item for item in whole if getattr(item, "report", {"epoch": 1})["epoch"] <= 3]
    asked = asking(spec, only(StopTrial(trial="t0001"), trial="t0000", epoch=4))
    state = fold(drive(tmp_path / "resumed", spec, before=begun, interfere=asked))
    assert [(trial.state.value, trial.epoch) for trial in state.trials.values()] == [("completed", 5), ("stopped", 3)]


def test_kept_trial_outlives_the_rule_that_stops_it_and_counts_as_judged(tmp_path: Path) -> None:
    spec = spec_of(trials=9, max_epochs=9, **NO_RACE)
    plain = fold(drive(tmp_path / "plain", spec))
    weak = next(trial for trial in plain.trials.values() if trial.state is TrialState.STOPPED)
    first = weak.epoch
    kept = fold(
        drive(
            tmp_path / "kept", spec, interfere=asking(spec, only(KeepTrial(trial=weak.name), trial=weak.name, epoch=1))
        )
    )
    assert (kept.trials[weak.name].state, kept.trials[weak.name].epoch) == (TrialState.COMPLETED, 9)
    # Before its later rungs fill, the others are judged as if it had been stopped.
    assert ends(kept)[: int(weak.name[1:])] == ends(plain)[: int(weak.name[1:])]

    def keep_a_while(state: StudyState, name: str, epoch: int) -> Request | None:
        is_begun, is_over = (name, epoch) == (weak.name, 1), (name, epoch) == (weak.name, first + 1)
        return KeepTrial(trial=name, keep=is_begun) if is_begun or is_over else None

    undone = fold(drive(tmp_path / "undone", spec, interfere=asking(spec, keep_a_while)))
    assert not undone.trials[weak.name].steering.is_kept
    # The stop at the rung was let pass while it was kept; the next rung decides again.
    assert undone.trials[weak.name].epoch > first


def test_held_trial_goes_on_when_it_is_kept_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    spec = spec_of(trials=6, promotion=True, max_epochs=9, **NO_RACE)
    plain = drive(tmp_path / "plain", spec)
    held = next(item.trial for item in plain if isinstance(item, TrialHeld))
    later = next(
        item.trial
        for item in itertools.dropwhile(lambda item: not isinstance(item, TrialHeld), plain)
        if isinstance(item, TrialProposed)
    )
    kept = fold(
        drive(tmp_path / "kept", spec, interfere=asking(spec, only(KeepTrial(trial=held), trial=later, epoch=1)))
    )
    assert kept.trials[held].promoted is not None
    assert kept.trials[held].promoted.reason == "kept by hand"
    assert kept.trials[held].epoch == 9
    records = drive(
        tmp_path / "stopped", spec, interfere=asking(spec, only(StopTrial(trial=held), trial=later, epoch=1))
    )
    stopped = fold(records).trials[held]
    assert (stopped.reason, stopped.epoch) == ("stopped by hand after epoch 1", 1)
    # A larger study lets those go on that waited, and not the one that a person has ended.
    change = {"change": "more", "study": "name: s", "replaces": "0", "study_id": "i", "max_epochs": 9, "num_trials": 20}
    larger = fold([*records, StudyFinished(at=100.0), StudyExtended(**change, at=101.0)])
    assert larger.trials[held].has_ended
    assert any(not trial.has_ended for trial in larger.trials.values())


@pytest.mark.parametrize("algorithm", ["random", "tpe", "sobol"])
def test_added_variant_is_tried_next_counts_as_one_and_is_never_tried_twice(tmp_path: Path, algorithm: str) -> None:
    first = ({"filters": 4, "dropout": 0.1}, {"filters": 8, "dropout": 0.2}, {"filters": 16, "dropout": 0.3})
    spec = spec_of(trials=6, schedule="none", algorithm=algorithm, start_with=first, **NO_RACE)
    added = AddVariant(params={"filters": 32, "dropout": 0.25})
    records = drive(tmp_path, spec, interfere=asking(spec, only(added, trial="t0000", epoch=2)))
    state = fold(records)
    variants = [dict(trial.variant.params) for trial in state.trials.values()]
    assert [variants[number] for number in (0, 2, 3)] == list(map(dict, first))
    assert variants[1] == {"filters": 32, "dropout": 0.25}
    assert [trial.name for trial in state.trials.values() if trial.steering.is_asked] == ["t0001"]
    assert len(state.trials) == len({trial.variant.variant_id for trial in state.trials.values()}) == 6
    (asked,) = (item for item in records if isinstance(item, VariantAsked))
    assert asked.variant["seed"] == spec.seed
    assert noisy(state.trials["t0001"].variant) > 0
