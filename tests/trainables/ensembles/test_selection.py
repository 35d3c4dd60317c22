"""Which checkpoints vote: laws of the selection over random predictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Variant
from trainables.ensembles.requests import Candidate
from trainables.ensembles.scores import figures_of, goodness, measure_of
from trainables.ensembles.selection import Library, greedy_steps, members_of, snapshot_steps

VARIANT = Variant(family="sequential", params={"filters": 4}, seed=1)


def library(outputs: dict[str, np.ndarray], labels: np.ndarray, *, measure: str = "accuracy") -> Library:
    names = [name.split("-") for name in outputs]
    candidates = [Candidate(trial=trial, variant=VARIANT, epoch=int(epoch)) for trial, epoch in names]
    kind = "regression" if measure in ("mae", "mse") else "classification"
    return Library(candidates=candidates, outputs=outputs, labels=labels, kind=kind, measure=measure)


def random_library(seed: int, *, count: int = 5, measure: str = "accuracy") -> Library:
    generator = np.random.default_rng(seed)
    names = [f"t{number // 2:04d}-{1 + number % 2:04d}" for number in range(count)]
    if measure in ("mae", "mse"):
        labels = generator.normal(size=(20, 1))
        return library({name: labels + generator.normal(size=(20, 1)) for name in names}, labels, measure=measure)
    outputs = {name: generator.dirichlet(np.ones(3), size=20).astype(np.float32) for name in names}
    return library(outputs, generator.integers(3, size=20), measure=measure)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from(["accuracy", "crossentropy", "mae", "mse"]))
def test_votes_are_at_least_as_good_as_the_best_checkpoint_and_are_what_their_weights_say(seed, size, measure):
    shelf = random_library(seed, measure=measure)
    steps = greedy_steps(shelf, size=size)
    members, kept = members_of(steps), [step for step in steps if step.is_kept]
    assert len(steps) == size
    assert steps[: len(kept)] == kept
    assert sum(member.weight for member in members) == pytest.approx(1)
    mean = sum(member.weight * shelf.outputs[member.candidate.name] for member in members)
    assert shelf.figures(mean) == pytest.approx(kept[-1].figures)
    singles = [goodness(shelf.figures(found), shelf.measure) for found in shelf.outputs.values()]
    assert shelf.value(kept[-1]) >= max(singles)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_each_vote_helps_the_votes_before_it_most_and_the_shortest_best_beginning_is_kept(seed):
    shelf = random_library(seed)
    steps = greedy_steps(shelf, size=6)
    total = np.zeros((20, 3))
    for count, step in enumerate(steps, start=1):
        others = [shelf.figures((total + found) / count) for found in shelf.outputs.values()]
        assert shelf.value(step) == max(goodness(figures, "accuracy") for figures in others)
        total += shelf.outputs[step.candidate.name]
    values = [shelf.value(step) for step in steps]
    assert sum(step.is_kept for step in steps) == values.index(max(values)) + 1


def test_a_checkpoint_may_vote_twice():
    labels = np.array([0, 0, 1])
    strong = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    weak = np.array([[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    other = np.array([[0.8, 0.2], [0.1, 0.9], [0.5, 0.5]])
    shelf = library({"t0000-0001": strong, "t0001-0001": weak, "t0002-0001": other}, labels)
    assert {member.candidate.name: round(member.weight, 3) for member in members_of(greedy_steps(shelf, size=3))} == {
        "t0000-0001": 0.667,
        "t0001-0001": 0.333,
    }


def test_equal_checkpoints_are_no_ensemble():
    outputs = random_library(3, count=1).outputs["t0000-0001"]
    shelf = library({"t0000-0001": outputs, "t0001-0001": outputs}, np.zeros(20, int))
    members = members_of(greedy_steps(shelf, size=8))
    assert [(member.candidate.name, member.weight) for member in members] == [("t0000-0001", 1.0)]


def test_a_snapshot_gives_equal_votes_to_the_last_epochs_of_the_best_trial():
    right, wrong = np.array([[0.9, 0.1]] * 4), np.array([[0.1, 0.9]] * 4)
    outputs = {"t0000-0002": right, "t0001-0003": right, "t0001-0005": right, "t0001-0001": wrong}
    outputs |= {"t0002-0001": wrong, "t0002-0002": right}
    steps = snapshot_steps(library(outputs, np.zeros(4, int)), size=2)
    assert [step.candidate.name for step in steps] == ["t0001-0005", "t0001-0003"]
    assert [member.weight for member in members_of(steps)] == [0.5, 0.5]


def test_no_snapshot_where_each_trial_has_one_checkpoint():
    right = np.array([[0.9, 0.1]])
    shelf = library({"t0000-0002": right, "t0001-0003": right}, np.zeros(1, int))
    assert snapshot_steps(shelf, size=8) == []


@pytest.mark.parametrize(
    ("metric", "kind", "measure"),
    [
        ("val_accuracy", "classification", "accuracy"),
        ("val_loss", "classification", "crossentropy"),
        ("val_auc", "classification", "crossentropy"),
        ("val_mae", "regression", "mae"),
        ("val_r2_score", "regression", "mse"),
    ],
)
def test_the_objective_decides_where_it_follows_from_single_predictions_else_the_loss(metric, kind, measure):
    assert measure_of(metric, kind=kind) == measure


def test_figures_are_those_of_keras(one_thread):
    import keras

    generator = np.random.default_rng(5)
    outputs, labels = generator.dirichlet(np.ones(4), size=50).astype(np.float32), generator.integers(4, size=50)
    loss = float(keras.losses.SparseCategoricalCrossentropy()(labels, outputs))
    share = float(keras.metrics.sparse_categorical_accuracy(labels, outputs).numpy().mean())
    found = figures_of(outputs, labels, kind="classification")
    assert found == pytest.approx({"accuracy": share, "crossentropy": loss}, rel=1e-5)
