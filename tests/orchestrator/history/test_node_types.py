"""What kinds of nodes cost: all time of their trials, each trial once, and nothing where no kind is known."""

from dataclasses import replace

import pytest
from record_samples import sweep

from orchestrator.history.node_types import node_type_costs
from orchestrator.journal.records import EpochReported, Record
from orchestrator.journal.study_state import fold

TYPES = ("gpu", "spot", "")


def typed(record: Record) -> Record:
    """Returns a record whose worker is on a node of the trial's kind; those of `gpu` have half a GPU."""
    if not isinstance(record, EpochReported):
        return record
    kind = TYPES[int(record.trial[1:]) % 3]
    named = {"node_type": kind, "cpus": 2.0} if kind else {}
    return replace(record, worker={**record.worker, **named, **({"gpus": 0.5} if kind == "gpu" else {})})


def test_each_kind_has_the_time_of_its_trials_times_their_devices() -> None:
    state = fold([typed(record) for record in sweep()])
    found = {item.node_type: item for item in node_type_costs(state)}
    assert list(found) == sorted(found, key=lambda kind: -found[kind].core_hours)
    assert set(found) == {"gpu", "spot"}
    for kind, item in found.items():
        trials = [trial for trial in state.trials.values() if trial.worker.get("node_type") == kind]
        reports = [report for trial in trials for report in trial.reports]
        hours = sum(report.train_seconds + sum(report.overhead_seconds.values()) for report in reports) / 3600
        assert item.num_trials == len(trials) > 0
        assert item.core_hours == pytest.approx(2 * hours)
        assert item.gpu_hours == pytest.approx(0.5 * hours if kind == "gpu" else 0.0)
    assert found["gpu"].in_words.endswith(f"GPU-hours, {found['gpu'].num_trials} trials")
    assert "GPU" not in found["spot"].in_words


def test_a_study_on_nodes_of_no_kind_has_no_such_costs() -> None:
    assert node_type_costs(fold(sweep())) == []
