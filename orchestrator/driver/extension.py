"""Extends a run's study: the driver journals the change first, then writes study.yaml.

The record holds the whole study as it is from then on, so a driver that dies before it writes study.yaml loses nothing:
the next driver writes it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.errors import InputError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import StudyExtended
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.study.sections import BUDGETS
from orchestrator.study.spec import StudySpec
from orchestrator.text import shown
from search_spaces import space_to_mapping
from trainables.files.whole import write_whole

#: What may change whenever a run goes on: results do not depend on it.
_FREE = frozenset({"resources", "storage", "export", "references", "track"})
_TRIALS, _EPOCHS, _PRICE = "search.trials", "schedule.max_epochs", "search.price_per_hour"
_REPLICATES, _REPLICATE_ON, _LEADERS = "search.replicates", "search.replicate_on", "search.leaders"
#: Why earlier results could not be compared with later ones; sections or keys, the first that fits counts.
_REASONS = {
    "name": "it names the run's folder",
    "seed": "every random choice of the earlier trials follows from the old one",
    "data": "results on other images, targets or augmentation cannot be compared",
    "space": "earlier proposals come from the old space, and the search learns from them",
    "objective": "earlier trials were stopped, ended and proposed by the old one",
    "search.algorithm": "earlier trials were proposed by the old one",
    "schedule": "earlier trials were stopped, or not, by the old rule",
    "callbacks": "earlier trials were trained with the old ones",
    "reuse": "results are taken over before a study's first trial",
}
_SCHEDULE = "schedule"


def current_study(
    folder: RunFolder, spec: StudySpec, *, recorder: Recorder, overrides: Sequence[str] = ()
) -> StudySpec:
    """Returns the study that a run goes on with, after journalling what `overrides` change.

    Args:
        folder: The run folder.
        spec: The study as study.yaml has it.
        recorder: Writes the journal.
        overrides: `key=value` texts that extend the study.

    Raises:
        InputError: If study.yaml was changed by hand, or a change would make earlier results incomparable.
    """
    state = recorder.state
    last = state.extensions[-1] if state.extensions else None
    if last is not None and state.is_extended and last.replaces == _digest(folder):
        # The driver died between the record and the file.
        write_whole(folder.study, last.study)
        spec = load_study(folder.study)
    expected = state.header.study_id
    if expected and expected != spec.study_id:
        raise InputError(
            f"{folder.study}: was changed since the run began (study {spec.study_id}, expected {expected}); results of "
            "two studies cannot be compared: restore it (only resources, storage and exports may change there), extend "
            f"the run with `convfleet resume {folder.quoted} --set search.trials=...` or `--set "
            "schedule.max_epochs=...`, or run the changed study in a new folder with `convfleet run`"
        )
    return _extended(folder, spec, recorder=recorder, overrides=overrides) if overrides else spec


def _extended(folder: RunFolder, spec: StudySpec, *, recorder: Recorder, overrides: Sequence[str]) -> StudySpec:
    wanted = load_study(folder.study, overrides=overrides)
    changes = dict(_changes(spec, wanted))
    if problems := list(_problems(changes, wanted, state=recorder.state)):
        next_step = f"run the changed study in a new folder; `reuse: {folder.root}` there takes over what is the same"
        raise InputError("\n".join(f"{folder.root}: {problem}; {next_step}" for problem in problems))
    if not changes:
        return spec
    text = wanted.to_yaml()
    recorder.append(
        StudyExtended(
            study_id=wanted.study_id,
            max_epochs=wanted.schedule.epochs,
            num_trials=wanted.num_trials,
            change=", ".join(f"{key} {shown(before)} -> {shown(after)}" for key, (before, after) in changes.items()),
            study=text,
            replaces=_digest(folder),
            replicates=wanted.search.replicates,
            leaders=wanted.search.num_leaders,
            folds=wanted.folds,
            at=recorder.now(),
        )
    )
    write_whole(folder.study, text)
    return wanted


def _changes(before: StudySpec, after: StudySpec) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yields (key such as `search.trials`, (old value, new value)) of everything that differs."""
    old, new = (
        dict(_flat({**spec.model_dump(mode="json", exclude={"space"}), "space": space_to_mapping(spec.space)}, depth=3))
        for spec in (before, after)
    )
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield key, (old.get(key), new.get(key))


def _flat(mapping: Mapping[str, Any], *, depth: int) -> Iterator[tuple[str, Any]]:
    """Yields (key with dots, value) of what lies within mappings, this deep."""
    for key, value in mapping.items():
        if isinstance(value, Mapping) and depth > 1:
            yield from ((f"{key}.{inner}", item) for inner, item in _flat(value, depth=depth - 1))
        else:
            yield key, value


def _problems(changes: dict[str, tuple[Any, Any]], wanted: StudySpec, *, state: StudyState) -> Iterator[str]:
    for key, (before, after) in changes.items():
        section = key.partition(".")[0]
        if key == _TRIALS:
            num_trials = len(search_alone(state).trials)
            if wanted.num_trials < num_trials:
                yield f"{key}: must be at least {num_trials}, as many trials exist, got {after!r}"
        elif key == _REPLICATES:
            most = max(map(len, state.replicates.values()), default=0)
            if after < most:
                yield f"{key}: must be at least {most}, as many replicates of a trial exist, got {after!r}"
        elif key == _REPLICATE_ON:
            if state.replicates:
                yield f"{key}: cannot change from {before!r} to {after!r}: a mean is over replicates of one kind"
        elif key == _EPOCHS:
            yield from _horizon_problems(before, after, wanted=wanted, state=state)
        elif section not in _FREE and key not in (*BUDGETS, _PRICE, _LEADERS):
            reason = _REASONS.get(key) or _REASONS.get(section) or "results depend on it"
            yield f"{key}: cannot change from {shown(before)} to {shown(after)}: {reason}"


def _horizon_problems(before: int, after: int, *, wanted: StudySpec, state: StudyState) -> Iterator[str]:
    trained = max((trial.epoch for trial in state.trials.values()), default=0)
    if after <= trained and after < before:
        yield f"{_EPOCHS}: must be more than the {trained} epochs that a trial has, got {after!r}"
    if _SCHEDULE not in wanted.space.names:
        return
    domain = wanted.space.parameter(_SCHEDULE).domain
    kinds = [value for value in domain.values() if value != "constant"] if domain.size is not None else []
    if kinds:
        yield (
            f"{_EPOCHS}: cannot change from {before!r} to {after!r}: space.params.{_SCHEDULE} may be "
            f"{' or '.join(map(str, kinds))}, which spreads the learning rate's course over max_epochs, so earlier "
            "epochs were trained at other rates than later ones would be"
        )


def _digest(folder: RunFolder) -> str:
    return hashlib.sha256(folder.study.read_bytes()).hexdigest()
