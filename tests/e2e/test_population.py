"""A population on digits: what cannot learn ends for trials that go on from better ones, also over a dead driver."""

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

MAX_EPOCHS = 4
#: With half of them counted as worst, a trial that cannot learn ends wherever two others got before it.
SECTIONS: dict[str, Any] = {
    "space": {
        "family": "sequential",
        "params": {
            "num_blocks": 1,
            "filters": 4,
            "batch_size": 64,
            "learning_rate": {"float": [1e-8, 0.1], "log": True},
        },
    },
    "search": {
        "algorithm": "random",
        "trials": 8,
        "start_with": [{"learning_rate": rate} for rate in (0.02, 0.03, 0.01, 1e-8)],
    },
    "schedule": {
        "algorithm": "pbt",
        "max_epochs": MAX_EPOCHS,
        "grace_epochs": 1,
        "population": 4,
        "interval_epochs": 1,
        "quantile": 0.5,
    },
}


def table(convfleet: Any, study: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(convfleet.folder / "runs" / study / "trials.parquet").to_pylist()
    return rows


def reports_of(convfleet: Any, study: str) -> dict[tuple[str, int], dict[str, float]]:
    records = convfleet.records(study, "epoch_reported")
    return {(record["trial"], record["report"]["epoch"]): record["report"]["metrics"] for record in records}


def test_what_cannot_learn_ends_and_another_goes_on_from_a_better_trial(joined: Any) -> None:
    sections = {**SECTIONS, "resources": {"max_concurrent": 2}, "export": {"top": 2, "formats": ["keras"]}}
    output = joined.run("run", joined.write_study("people", **sections))
    replacements = {record["replaces"]: record for record in joined.records("people", "trial_replaced")}
    proposed = joined.records("people", "trial_proposed")
    (bad,) = [item["trial"] for item in proposed if item["variant"]["params"]["learning_rate"] == 1e-8]
    record = replacements[bad]
    assert f"{bad} stopped after epoch {record['epoch']}: pbt: val_accuracy" in output
    assert f"{record['trial']} goes on from {record['parent']} with learning_rate " in output
    assert f"{record['trial']} started from {record['parent']} at epoch {record['from_epoch']}: " in output
    # Each place of the population trains to its end once, and nothing counts twice.
    reports = reports_of(joined, "people")
    assert len(reports) == 4 * MAX_EPOCHS
    rows = {row["trial"]: row for row in table(joined, "people")}
    assert sum(row["epochs"] for row in rows.values()) == len(reports)
    assert Counter(row["state"] for row in rows.values()) == {"completed": 4, "stopped": len(replacements)}
    for replaced, item in replacements.items():
        child = rows[item["trial"]]
        assert (child["parent"], child["from_epoch"], child["replaces"]) == (
            item["parent"],
            item["from_epoch"],
            replaced,
        )
        own = sorted(epoch for trial, epoch in reports if trial == item["trial"])
        assert own[0] == item["from_epoch"] + 1
        # It goes on from weights that have learned: they are no fresh ones.
        if item["variant"]["params"]["learning_rate"] < 1e-5:
            before = reports[item["parent"], item["from_epoch"]]
            assert reports[item["trial"], own[0]]["val_accuracy"] == pytest.approx(before["val_accuracy"], abs=0.05)
    status = json.loads(joined.run("status", "runs/people", "--json"))
    assert status["cost"]["trial_epochs"] == len(reports)
    assert len(status["exports"]) == 2


@pytest.fixture(scope="module")
def calm(make_joined: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[tuple[Any, ...]]]:
    convfleet = make_joined(tmp_path_factory.mktemp("calm"))
    convfleet.run("run", convfleet.write_study("calm", **SECTIONS, resources={"max_concurrent": 1}))
    return convfleet, lineages(convfleet, "calm")


def lineages(convfleet: Any, study: str) -> list[tuple[Any, ...]]:
    names = (
        "trial",
        "variant_id",
        "parent",
        "from_epoch",
        "replaces",
        "state",
        "reason",
        "epochs",
        "best_val_accuracy",
    )
    return [tuple(row[name] for name in names) for row in table(convfleet, study)]


def test_killed_driver_costs_nothing_and_the_lineages_end_as_undisturbed(calm: tuple[Any, Any]) -> None:
    convfleet, expected = calm
    study = convfleet.write_study("killed", **SECTIONS, resources={"max_concurrent": 1})
    process = convfleet.start("run", study)
    convfleet.wait_for("killed", "trial_replaced", 1, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = reports_of(convfleet, "killed")
    convfleet.run("resume", "runs/killed")
    assert before.items() <= reports_of(convfleet, "killed").items()
    assert lineages(convfleet, "killed") == expected
    assert any(parent for _, _, parent, *_ in expected)
    # What others could go on from is gone once the study has ended.
    folders = [Path(convfleet.folder) / "runs" / study / "checkpoints" for study in ("calm", "killed")]
    kept = [sorted(str(path.relative_to(folder)) for path in folder.glob("*/epoch-*")) for folder in folders]
    assert kept[0] == kept[1]
    assert max(Counter(name.partition("/")[0] for name in kept[0]).values()) <= 2
