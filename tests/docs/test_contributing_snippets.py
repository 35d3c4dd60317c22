"""What the guides for contributors show is what runs."""

import inspect
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SNIPPETS = DOCS / "snippets"
STUDIES = sorted((SNIPPETS / "studies").glob("*.yaml"))
SHELL = sorted((SNIPPETS / "shell").glob("*.sh"))


DIGITS = (8, 8, 1)


@pytest.mark.slow
def test_the_family_of_the_guide_builds_and_predicts():
    from trainables.families import sequential
    from trainables.families.parts.context import BuildContext
    from trainables.specs.pixels import PixelScaling
    from trainables.specs.task import Task

    catalog = runpy.run_path(str(SNIPPETS / "contributing" / "family_catalog.py"))
    builder = runpy.run_path(str(SNIPPETS / "contributing" / "family_builder.py"))
    params = {name: info.default for name, info in catalog["POINTWISE"].items()}
    assert inspect.signature(builder["build"]) == inspect.signature(sequential.build)
    context = BuildContext(pixel_scaling=PixelScaling())
    task = Task.classification(input_shape=DIGITS, num_classes=3)
    model = builder["build"](params, task=task, context=context)
    assert model(np.zeros((2, *DIGITS), "float32")).shape == (2, 3)


def test_the_source_of_the_guide_hands_over_images_and_labels():
    from trainables.specs.data import DataSpec

    snippet = runpy.run_path(str(SNIPPETS / "contributing" / "source.py"))
    opened = snippet["open_gradients"](DataSpec(source="digits"), lambda *_: None)
    assert opened.content == ("gradients 1",)
    split = opened.read().splits["train"]
    assert list(split.labels["label"][:4]) == [0, 1, 2, 0]


def test_the_scheduler_of_the_guide_stops_what_is_at_most_half_as_good(monkeypatch):
    from orchestrator.early_stopping import deciders
    from orchestrator.early_stopping.decider import Reported, Rules
    from orchestrator.study.sections import Schedule

    monkeypatch.setattr(deciders, "DECIDERS", dict(deciders.DECIDERS))
    runpy.run_path(str(SNIPPETS / "contributing" / "scheduler.py"))
    rules = Rules(schedule=Schedule(max_epochs=9, grace_epochs=1), metric="val_accuracy", mode="max", seed=0)
    decider = deciders.DECIDERS["floor"](rules)
    reports = [Reported(trial=f"t{number}", number=number, epoch=1, value=0.8 / 2**number) for number in range(2)]
    reasons = [decider.judge(report).reason for report in reports]
    assert reasons == ["", "floor: val_accuracy 0.4000 is at most half of the best, 0.8000"]


@pytest.mark.slow
def test_the_format_of_the_guide_predicts_what_the_model_predicts(tmp_path, monkeypatch):
    import keras

    from trainables.exporting import formats
    from trainables.specs.task import Task

    monkeypatch.setattr(formats, "FORMATS", dict(formats.FORMATS))
    runpy.run_path(str(SNIPPETS / "contributing" / "export_format.py"))
    model = keras.Sequential([keras.Input(DIGITS), keras.layers.Flatten(), keras.layers.Dense(3)])
    images = np.random.default_rng(1).uniform(0, 255, (4, *DIGITS)).astype("float32")
    added = formats.FORMATS["weights"]
    task = Task.classification(input_shape=DIGITS, num_classes=3)
    added.write(model, tmp_path / added.file_name, task)
    assert np.allclose(added.predict(tmp_path / added.file_name, images), model(images), atol=1e-5)


def test_the_searcher_of_the_guide_proposes_variants(monkeypatch):
    from orchestrator.search.algorithms import searchers
    from orchestrator.search.algorithms.proposer import Proposer
    from orchestrator.study.loading import load_study

    monkeypatch.setattr(searchers, "SEARCHERS", dict(searchers.SEARCHERS))
    snippet = runpy.run_path(str(SNIPPETS / "contributing" / "searcher.py"))
    assert searchers.SEARCHERS["mine"] is snippet["Mine"]
    # Put where the algorithm is looked up, whatever name the proposer imported.
    spec = load_study("quickstart", overrides=["search.algorithm=random"])
    monkeypatch.setitem(Proposer.__init__.__globals__["SEARCHERS"], "random", snippet["Mine"])
    variants = [Proposer(spec).propose(number) for number in range(3)]
    assert len({variant.variant_id for variant in variants}) == 3
