"""`status --fold` puts the runs of a study's folds together: each variant's mean and deviation, or a refusal."""

import json
import statistics
import sys
from dataclasses import replace

import pytest

from orchestrator.cli import app as cli
from orchestrator.journal.file import Journal
from orchestrator.journal.records import EpochReported
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study

STUDY = {
    "seed": 7,
    "data": {"source": "digits"},
    "space": {"family": "sequential", "params": {"filters": {"choice": [4, 8]}}},
}


def raised(record, *, by):
    """Returns a report whose metrics are larger."""
    metrics = {name: value + by for name, value in record.report["metrics"].items()}
    return replace(record, report={**record.report, "metrics": metrics})


@pytest.fixture
def write_run(tmp_path, make_sweep):
    """Writes the run of a fold, whose values lie so much above those of the made-up sweep, or below them."""

    def write(name, *, more, overrides=(), left_out=(), **header):
        folder = RunFolder(tmp_path / "runs" / name)
        folder.root.mkdir(parents=True)
        study = load_study({"name": name, **STUDY}, overrides=overrides)
        folder.study.write_text(study.to_yaml(), encoding="utf-8")
        with Journal(folder.journal) as journal:
            for record in make_sweep(**header):
                if getattr(record, "trial", "") in left_out:
                    continue
                journal.append(raised(record, by=more) if isinstance(record, EpochReported) else record)
        return str(folder.root)

    return write


@pytest.fixture
def status(tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["convfleet", "status", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def folds(*numbers):
    return [("data.folds=3", f"data.fold={number}") for number in numbers]


def test_every_variant_has_its_mean_and_deviation_over_the_folds(write_run, status):
    one, two, three = folds(1, 2, 3)
    runs = [
        write_run("one", more=0.0, overrides=one),
        write_run("two", more=0.05, overrides=two, left_out=("t0003", "t0006")),
        write_run("three", more=-0.02, overrides=three),
    ]
    code, text, _ = status(runs[0], "--fold", runs[1], "--fold", runs[2], "--json")
    assert code == 0
    told = json.loads(text)["over_folds"]
    # 12 trials have a result in a whole run, two of them not in every run.
    assert len(told) == 10
    pair = json.loads(status(runs[0], "--fold", runs[2], "--json")[1])["over_folds"]
    alone = {item["variant_id"]: item for item in pair}
    assert len(alone) == 12
    for item in told:
        first = alone[item["variant_id"]]["values"][0]
        assert item["values"] == pytest.approx([first, first + 0.05, first - 0.02])
        assert item["mean"] == pytest.approx(first + 0.01)
        assert item["deviation"] == pytest.approx(statistics.stdev([0.0, 0.05, -0.02]))
    means = [item["mean"] for item in told]
    assert means == sorted(means, reverse=True)
    code, text, _ = status(runs[0], "--fold", runs[1], "--fold", runs[2])
    assert code == 0
    assert "mean val_accuracy" in text
    assert "variant, over 3 folds" in text
    assert f"{told[0]['mean']:.4f}"[:6] in text
    assert "over_folds" not in json.loads(status(runs[0], "--json")[1])


def test_the_best_mean_of_a_loss_is_the_smallest(write_run, status):
    runs = [
        write_run(str(number), more=0.1 * number, overrides=fold, metric="val_loss", mode="min")
        for number, fold in zip((1, 2), folds(1, 2), strict=True)
    ]
    told = json.loads(status(runs[0], "--fold", runs[1], "--json")[1])["over_folds"]
    means = [item["mean"] for item in told]
    assert means == sorted(means)
    assert len(means) == 12


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data.folds=3", "data.fold=1"), "runs/b: is fold 1 as {one} is; give one run for each fold"),
        ((), "runs/b: is no run of a fold; give data.folds and data.fold, such as --set data.folds=5"),
        (
            ("data.folds=4", "data.fold=2"),
            "runs/b: data.folds is 4, in {one} 3; the runs of one study's folds",
        ),
        (("data.folds=3", "data.fold=2", "seed=9"), "runs/b: seed is 9, in {one} 7; the runs"),
        (("data.folds=3", "data.fold=2", "schedule.max_epochs=2"), "runs/b: schedule.max_epochs is 2, in {one}"),
        (
            ("data.folds=3", "data.fold=2", "space.params.filters=8"),
            "runs/b: space differs from that of {one}; the",
        ),
    ],
)
def test_runs_that_are_no_folds_of_one_study_are_refused(overrides, message, write_run, status):
    one = write_run("one", more=0.0, overrides=("data.folds=3", "data.fold=1"))
    other = write_run("b", more=0.0, overrides=overrides)
    code, _, errors = status(one, "--fold", other)
    assert code == 2
    assert message.format(one=one) in errors


def test_runs_without_a_common_variant_say_so(write_run, status):
    everything = tuple(f"t{number:04d}" for number in range(14))
    one, two = folds(1, 2)
    runs = [write_run("one", more=0.0, overrides=one), write_run("two", more=0.0, overrides=two, left_out=everything)]
    code, text, _ = status(runs[0], "--fold", runs[1])
    assert code == 0
    # Wherever the terminal's width breaks the line.
    assert "no variant has a result in all of these runs; search with grid or random, and one seed" in " ".join(
        text.split()
    )
