"""The kinds of record in a journal, from their classes."""

import re
from dataclasses import fields
from typing import get_args

from docstrings import code, described_fields, first_line, require, table

from orchestrator.journal.records import Record

#: What fields mean in every kind of record that has them and does not say otherwise.
_FIELDS = {
    "at": "When, in seconds since 1970.",
    "trial": "The trial's name, such as t0007.",
    "number": "The trial's number, counted from 0.",
    "variant": "Family, parameters and seed.",
    "schema": "The version of the journal's format.",
    "study": "The study's name.",
    "study_id": "Follows from all that results depend on.",
    "seed": "The study's seed.",
    "metric": "The objective's metric.",
    "mode": "max or min.",
    "max_epochs": "Epochs of a trial that nothing stops.",
    "num_trials": "How many trials there will be.",
    "replicates": "How often the best variants are trained again at most.",
    "leaders": "How many of the best variants are trained again.",
    "folds": "Which folds validate: that of the search, then one for each replicate of a leader.",
    "driver_pid": "The driver's process.",
    "slots": "Trials at the same time.",
    "dataset": "The fingerprint of the images.",
    "results_id": "Follows from all that a variant's numbers depend on.",
    "report": "The report as JSON: epoch, metrics, seconds by kind.",
    "worker": "The worker's process, node, CPUs, GPUs and memory.",
    "epoch": "Which epoch, counted from 1.",
    "reason": "Why, in words.",
    "kind": "The kind, for programs.",
    "text": "What it is, in words.",
    "rank": "1 for the best.",
    "folder": "The export's folder, relative to the run's.",
    "test_metrics": "Metrics of the test split.",
}


def markdown(argument: str) -> str:
    """Returns one section a kind: its `type`, what it says, its fields."""
    parts = []
    for kind in get_args(Record):
        own = described_fields(kind)
        rows = [
            [code(item.name), require(own.get(item.name) or _FIELDS.get(item.name, ""), what=f"{kind.__name__}")]
            for item in fields(kind)
        ]
        parts += [f"## {type_of(kind)}", first_line(kind), table(["field", "meaning"], rows)]
    return "\n\n".join(parts)


def type_of(kind: type) -> str:
    """Returns the value of a record's `type`.

    >>> type_of(type("StudyOpened", (), {}))
    'study_opened'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
