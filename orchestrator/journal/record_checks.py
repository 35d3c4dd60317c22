"""Checks the types, ranges and names in a record, whichever program wrote the journal.

Names in records become paths, so a trial's name must follow from its number, and an export must lie in `exports/`.
"""

import math
import re
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin

from orchestrator.errors import JournalError
from orchestrator.journal.records import (
    EnsembleExported,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyOpened,
    TrialProposed,
    TrialReplaced,
    TrialReused,
)
from orchestrator.journal.steering_records import (
    AnnotationAdded,
    SteeringRecord,
    StudyTagged,
    VariantAsked,
    is_request_id,
    tag_problem,
    text_problem,
)
from orchestrator.pareto.choice import RuleError
from orchestrator.pareto.constraints import EXAMPLE, parse_constraint
from orchestrator.runs.paths import trial_name

#: The end of the year 9999 in seconds since 1970: the largest year of Python's datetime.
_LATEST = 253_402_300_799.0
#: The largest whole number that a column of the tables holds.
_LARGEST = 2**63 - 1
_MAX_TRIALS, _MAX_OBJECTIVES = 1_000_000, 3
#: One visible folder directly below the run's exports.
_EXPORT = re.compile(r"exports/[A-Za-z0-9][A-Za-z0-9._-]*")


def check_record(record: Record) -> None:
    """Raises JournalError if a record cannot be true after any other records."""
    for name, kind, check in _FIELDS[type(record)]:
        value = getattr(record, name)
        if not check(value):
            raise JournalError(f"{name}: expected {_EXPECTED[kind]}, got {_shown(value)}")
    if not 0 <= record.at <= _LATEST:
        raise JournalError(f"at: expected seconds since 1970, got {record.at!r}")
    if check_more := _MORE_CHECKS.get(type(record)):
        check_more(record)
    if worker := getattr(record, "worker", None):
        _check_worker(worker)


def _check_opened(record: StudyOpened) -> None:
    _demand(record.mode in ("max", "min"), "mode", "max or min", record.mode)
    _check_objectives(record)
    are_rules = all(map(_is_constraint, record.constraints))
    _demand(are_rules, "constraints", f"texts such as {EXAMPLE}", record.constraints)
    _check_numbers(record)


def _check_session(record: SessionStarted) -> None:
    _demand(0 <= record.began_at <= _LATEST, "began_at", "seconds since 1970", record.began_at)
    _demand(record.minutes >= 0, "minutes", "at least 0", record.minutes)


def _check_trial(record: TrialProposed | TrialReused | TrialReplaced) -> None:
    _demand(record.number >= 0, "number", "at least 0", record.number)
    _demand(record.trial == trial_name(record.number), "trial", trial_name(record.number), record.trial)
    _demand(_is_plain(record.variant), "variant", "values of an ordinary size", record.variant)
    _check_origin(record)


def _check_steering(record: SteeringRecord) -> None:
    _demand(is_request_id(record.request), "request", "the id of a request", record.request)
    if isinstance(record, VariantAsked):
        _demand(_is_plain(record.variant), "variant", "values of an ordinary size", record.variant)
    if isinstance(record, StudyTagged):
        is_right = bool(record.tags) and not any(map(tag_problem, record.tags))
        _demand(is_right and len(set(record.tags)) == len(record.tags), "tags", "short texts, each once", record.tags)
    if isinstance(record, AnnotationAdded):
        _demand(not text_problem(record.text), "text", "plain text of an ordinary length", record.text)


def _check_exported(record: ModelExported | EnsembleExported) -> None:
    expected = "a folder such as exports/1-t0007"
    _demand(_EXPORT.fullmatch(record.folder) is not None, "folder", expected, record.folder)
    _demand(_are_numbers(record.test_metrics), "test_metrics", "numbers by name", record.test_metrics)
    if isinstance(record, EnsembleExported):
        _demand(_are_numbers(record.metrics), "metrics", "numbers by name", record.metrics)
        expected = "a list of members, each with trial, epoch and weight"
        _demand(all(map(_is_member, record.members)), "members", expected, record.members)


def _is_member(item: object) -> bool:
    if not isinstance(item, Mapping) or item.keys() != {"trial", "epoch", "weight"}:
        return False
    return _is_text(item["trial"]) and _is_whole(item["epoch"]) and _is_number(item["weight"])


def _check_origin(record: TrialProposed | TrialReused | TrialReplaced) -> None:
    match record:
        case TrialProposed():
            _demand(0 <= record.fold <= _MAX_TRIALS, "fold", "a fold, from 1, or 0 for none", record.fold)
        case TrialReused():
            _check_reused(record)
        case TrialReplaced():
            _demand(record.from_epoch >= 1, "from_epoch", "at least 1", record.from_epoch)


def _check_objectives(record: StudyOpened) -> None:
    expected = "two objectives or three, the first as in metric and mode, each with a metric and a mode"
    objectives = record.objectives
    is_right = not objectives or (
        len(objectives) <= _MAX_OBJECTIVES
        and all(map(_is_objective, objectives))
        and (objectives[0]["metric"], objectives[0]["mode"]) == (record.metric, record.mode)
        and 1 < len({item["metric"] for item in objectives}) == len(objectives)
    )
    _demand(is_right, "objectives", expected, objectives)


def _is_objective(item: object) -> bool:
    if not isinstance(item, Mapping) or not item.keys() <= {"metric", "mode", "reference"}:
        return False
    is_named = _is_text(item.get("metric")) and item.get("mode") in ("max", "min")
    return is_named and _is_number(item.get("reference", 0))


def _is_constraint(item: object) -> bool:
    try:
        return isinstance(item, str) and bool(parse_constraint(item))
    except RuleError:
        return False


def _check_numbers(record: StudyOpened | StudyExtended) -> None:
    _demand(record.max_epochs >= 1, "max_epochs", "at least 1", record.max_epochs)
    _demand(0 <= record.num_trials <= _MAX_TRIALS, "num_trials", "a number of trials", record.num_trials)
    for name in ("replicates", "leaders"):
        value = getattr(record, name)
        _demand(0 <= value <= _MAX_TRIALS, name, "a number of trials", value)
    folds = record.folds
    is_right = len(folds) != 1 and all(_is_whole(fold) and 1 <= fold <= _MAX_TRIALS for fold in folds)
    _demand(is_right and len(set(folds)) == len(folds), "folds", "two different folds or more, from 1", folds)


def _check_reused(record: TrialReused) -> None:
    for report in record.reports:
        _demand(isinstance(report, Mapping), "reports", "mappings", report)
        _check_report(report)
    for name in ("reported_at", "started_at"):
        times = getattr(record, name)
        _demand(all(_is_number(at) and 0 <= at <= _LATEST for at in times), name, "seconds since 1970", times)


def _check_report(report: Mapping[str, Any]) -> None:
    for name in ("metrics", "overhead_seconds", "cost"):
        if not _are_numbers(report.get(name, _NOTHING)):
            _demand(False, f"report.{name}", "numbers by name", report.get(name))
    for name in ("train_seconds", "images_per_second"):
        if not _is_number(report.get(name, 0.0)):
            _demand(False, f"report.{name}", "a number", report.get(name))
    _demand(_is_whole(report.get("epoch", 0)), "report.epoch", "a whole number", report.get("epoch"))
    _demand(isinstance(report.get("reason", ""), str), "report.reason", "a text", report.get("reason"))


def _check_worker(worker: Mapping[str, Any]) -> None:
    for name, check in _WORKER.items():
        value = worker.get(name)
        if value is not None and not check(value):
            raise JournalError(f"worker.{name}: expected what describes a worker process, got {_shown(value)}")


def _demand(is_right: bool, where: str, expected: object, got: object) -> None:
    if not is_right:
        raise JournalError(f"{where}: expected {expected}, got {_shown(got)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_number(value: object) -> bool:
    return math.isfinite(value) if isinstance(value, float) else _is_whole(value)


def _are_numbers(value: object) -> bool:
    # Called for every number of a journal: the most likely types are tested first, without a call.
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    for key, number in value.items():
        if not isinstance(key, str):
            return False
        if not (number - number == 0.0 if type(number) is float else _is_number(number)):
            return False
    return True


def _is_plain(value: object) -> bool:
    """Returns whether a table's column can hold all parts of a value."""
    if type(value) in _PLAIN or _is_number(value):
        return True
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    return isinstance(value, _LISTS) and all(map(_is_plain, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_yes_or_no(value: object) -> bool:
    return isinstance(value, bool)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_LONGEST_SHOWN = 80
_NOTHING: Mapping[str, Any] = {}
# Made once: used for every value of a journal, where Python would make a union of types at each call.
_PLAIN = frozenset((str, bool, type(None)))
_LISTS = (list, tuple)
_CHECKS: Mapping[Any, Callable[[object], bool]] = {
    str: _is_text,
    int: _is_whole,
    float: _is_number,
    bool: _is_yes_or_no,
    abc.Mapping: lambda value: type(value) is dict or isinstance(value, Mapping),
    abc.Sequence: lambda value: isinstance(value, _LISTS),
}
#: The fields of each kind of record that have a type to check.
_FIELDS: Mapping[type, list[tuple[str, Any, Callable[[object], bool]]]] = {
    kind: [
        (field.name, expected, _CHECKS[expected])
        for field in fields(kind)
        if (expected := get_origin(field.type) or field.type) in _CHECKS
    ]
    for kind in get_args(Record)
}
_EXPECTED: Mapping[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"} | {
    abc.Mapping: "a mapping",
    abc.Sequence: "a list",
}
_WORKER: Mapping[str, Callable[[object], bool]] = {
    "node": _is_text,
    "node_type": _is_text,
    "worker_pid": _is_whole,
    "cpus": _is_number,
    "gpus": _is_number,
    "memory_mb": _is_number,
    "gpu_ids": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}
#: What else is checked of a record, by its kind.
_MORE_CHECKS: Mapping[type, Callable[[Any], None]] = {
    EpochReported: lambda record: _check_report(record.report),
    StudyOpened: _check_opened,
    SessionStarted: _check_session,
    StudyExtended: _check_numbers,
    **dict.fromkeys((TrialProposed, TrialReused, TrialReplaced), _check_trial),
    **dict.fromkeys((ModelExported, EnsembleExported), _check_exported),
    **dict.fromkeys(get_args(SteeringRecord), _check_steering),
}
