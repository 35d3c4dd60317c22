"""The comparison with peers compares like with like, counts all processes, and does not flatter."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from peers import convfleet_run
from peers.models import build_model
from peers.rounds import Reports, complaint, environment
from peers.shared import Feed, Job, make_feed, tell
from peers.tables import Outcome, save, summarise
from peers.variants import DEFAULTS, PRESETS, SEARCH_SPACE, SMALL_CNNS, TINY_CNNS, complete, graph_of, variants_of

from search_spaces import Variant
from trainables.catalog.families import FAMILIES

#: The family names its layers, and scales in float32 whatever the precision, which is float32 here.
UNLIKE = {"name", "dtype"}
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while time.process_time() < 0.3:
            pass
    os._exit(0)
os._exit(3)
"""
MEASURED = """
import os, sys
from pathlib import Path
from peers.measuring import measure
measured = measure([sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2]), environment=os.environ, limit_seconds=60)
print(measured.exit_code, measured.cpu_seconds)
"""


def job(folder, **changes):
    common = {"variants": (), "epochs": 2, "batch_size": 32, "data": "", "limit": 300, "cores": 2, "seed": 7}
    return Job(**{**common, "folder": str(folder), "reports": str(folder / "reports.jsonl"), **changes})


def outcome(peer, number, wall, **changes):
    return Outcome(**{"peer": peer, "round": number, "wall_seconds": wall, "cpu_seconds": 1.0, **changes})


@pytest.mark.parametrize("name", PRESETS)
def test_study_proposes_the_very_variants_that_peers_are_given_in_their_order(name, tmp_path):
    from orchestrator.search.algorithms.proposer import Proposer
    from orchestrator.study.loading import parse_study

    preset = PRESETS[name]
    variants = tuple(variants_of(preset.params, count=preset.num_variants))
    convfleet_run.command(job(tmp_path, variants=variants), params=preset.params)
    study = yaml.safe_load((tmp_path / "study.yaml").read_text(encoding="utf-8"))
    proposer = Proposer(parse_study(study, base=tmp_path))
    proposed = [proposer.propose(number) for number in range(preset.num_variants)]
    assert [complete(variant.params) for variant in proposed] == list(variants)
    assert proposer.propose(preset.num_variants) is None


def test_defaults_are_the_familys():
    family = FAMILIES["sequential"].with_defaults({})
    assert {name: family[name] for name in DEFAULTS} == DEFAULTS


def test_search_to_a_target_is_a_study_of_the_space_that_peers_search(tmp_path):
    from orchestrator.study.loading import parse_study

    spec = parse_study(convfleet_run.study(job(tmp_path, epochs=15), params={}), base=tmp_path)
    assert set(spec.space.names) == {"family", *SEARCH_SPACE}
    assert (spec.search.algorithm, spec.schedule.algorithm, spec.schedule.max_epochs) == ("tpe", "asha", 15)


def corners():
    """The variants of each graph in the lists, and the ends of the search's space."""
    listed = [*variants_of(SMALL_CNNS, count=24), variants_of(TINY_CNNS, count=40)[-1]]
    yield from {graph_of(variant): variant for variant in listed}.values()
    for blocks, kernel, dense in ((2, 5, 64), (4, 3, 0)):
        yield complete({"num_blocks": blocks, "filters": 24, "kernel_size": kernel, "dense_units": dense})


def test_peers_build_the_models_of_the_family():
    from trainables.families.building import build_model as build_of_family
    from trainables.specs.task import Task

    feed = Feed(train=(), settings={}, input_shape=(9, 9, 3), num_classes=10)
    task = Task.classification(input_shape=(9, 9, 3), num_classes=10)
    for variant in corners():
        by_hand = build_model(variant, feed)
        by_family = build_of_family(Variant(family="sequential", params=variant, seed=1), task=task)
        assert by_hand.count_params() == by_family.count_params()
        assert layers_of(by_hand) == layers_of(by_family)
        assert by_hand.optimizer.learning_rate.numpy() == pytest.approx(variant["learning_rate"])


def layers_of(model):
    return [
        (type(layer).__name__, {name: value for name, value in layer.get_config().items() if name not in UNLIKE})
        for layer in model.layers
    ]


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_feed_gives_fit_every_row_of_both_splits_once(kind, tmp_path):
    arrays = {
        "x_train": np.arange(70, dtype=np.uint8).reshape(70, 1, 1, 1),
        "y_train": np.arange(70) % 10,
        "x_val": np.arange(70, 80, dtype=np.uint8).reshape(10, 1, 1, 1),
        "y_val": np.arange(10),
    }
    feed = make_feed(arrays, job(tmp_path, feed=kind))
    train = feed.train if kind == "arrays" else rows_of(feed.train[0])
    held = feed.settings["validation_data"]
    held = held if kind == "arrays" else rows_of(held)
    assert sorted(np.ravel(train[0]).tolist()) == list(range(70))
    assert [int(label) for label in train[1]] == [int(pixel) % 10 for pixel in np.ravel(train[0])]
    assert np.ravel(held[0]).tolist() == list(range(70, 80))
    assert (feed.input_shape, feed.num_classes) == ((1, 1, 1), 10)


def rows_of(dataset):
    batches = list(dataset.as_numpy_iterator())
    return tuple(np.concatenate([batch[place] for batch in batches]) for place in (0, 1))


def test_ratio_is_the_median_of_rounds_that_both_have():
    rows = summarise(
        [
            *(outcome("convfleet", number, wall) for number, wall in ((1, 10.0), (2, 20.0), (3, 30.0))),
            *(outcome("other", number, wall) for number, wall in ((1, 40.0), (2, 40.0))),
            outcome("other", 3, 1.0, problem="exit code 1"),
        ]
    )
    assert [(row.peer, row.num_rounds, row.num_failed) for row in rows] == [("convfleet", 3, 0), ("other", 2, 1)]
    assert rows[1].ratio == pytest.approx(0.375)
    assert rows[1].wall_seconds == 40.0


@pytest.mark.parametrize(
    ("own", "other", "ratio"), [(10.0, math.inf, 0.0), (math.inf, 10.0, math.inf), (math.inf, math.inf, math.nan)]
)
def test_search_that_never_reached_its_target_is_slower_than_any_that_did(own, other, ratio):
    rows = summarise([outcome("convfleet", 1, own), outcome("other", 1, other)])
    assert rows[1].ratio == pytest.approx(ratio, nan_ok=True)


def test_saved_comparison_is_plain_json(tmp_path):
    save(tmp_path / "peers.json", {"command": []}, [outcome("other", 1, math.inf)])
    text = (tmp_path / "peers.json").read_text(encoding="utf-8")
    assert "Infinity" not in text
    assert json.loads(text)["outcomes"][0]["wall_seconds"] is None


def reports_of(folder, rows):
    for variant, epoch, parameters in rows:
        tell(job(folder), variant=variant, epoch=epoch, val_accuracy=0.5, parameters=parameters)
    reports = Reports(folder / "reports.jsonl", read=dict)
    reports.refresh()
    return reports


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(0, 1, 50), (0, 2, 50), (1, 1, 60), (1, 2, 60)], ""),
        ([(0, 1, 50), (0, 2, 50), (1, 1, 60)], "told 3 reports of 3 epochs where 4 were asked for"),
        ([(0, 1, 50), (0, 2, 50), (0, 1, 50), (0, 2, 50)], "told 4 reports of 2 epochs where 4 were asked for"),
        (
            [(0, 1, 50), (0, 2, 50), (1, 1, 70), (1, 2, 70)],
            "variant 1 has 70 parameters, in convfleet's family 60",
        ),
    ],
)
def test_peer_that_trained_something_else_does_not_count(rows, told, tmp_path):
    assert complaint(reports_of(tmp_path, rows), num_variants=2, epochs=2, parameters=[50, 60]) == told


def test_reports_wait_for_the_end_of_a_line(tmp_path):
    reports = reports_of(tmp_path, [(0, 1, 50)])
    with (tmp_path / "reports.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"variant": 0, "epo')
        file.flush()
        assert len(reports.refresh()) == 1
        file.write('ch": 2}\n')
        file.flush()
        assert reports.refresh()[1:] == [{"variant": 0, "epoch": 2}]


def test_daemon_that_left_its_parents_is_counted_and_waited_for(tmp_path):
    # In a process of its own: measuring reaps every child of the process that measures.
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "benchmarks")}
    command = [sys.executable, "-c", MEASURED, DAEMON, str(tmp_path / "log")]
    result = subprocess.run(command, env=paths, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    exit_code, cpu_seconds = result.stdout.split()
    assert exit_code == "3"
    assert float(cpu_seconds) >= 0.3


def test_a_peers_module_is_found_where_rounds_start_it(tmp_path):
    command = [sys.executable, "-c", "import peers.prepare"]
    found = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
