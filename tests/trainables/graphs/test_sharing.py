"""A training on another network's graph gives every bit that a training on a graph of its own gives."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from trainables.graphs import sharing
from trainables.graphs.sharing import MAX_SHARED, MAX_USES, BoundFunction, GraphKey, NetworkGraphs, SharedGraphs
from trainables.specs.data import AugmentSpec

pytestmark = pytest.mark.usefixtures("one_thread")

VARIED = AugmentSpec(flip="horizontal", crop_padding=1)
#: What all variants of a case have, and two settings of widths, seeds and knobs.
CASES = {
    "sequential": ({"family": "sequential"}, {"filters": 6}, {"filters": 9, "seed": 3}),
    "flattened": (
        {"family": "sequential", "head": "flatten", "batch_norm": False},
        {"filters": 16, "dense_units": 8, "dropout": 0.4},
        {"filters": 5, "dense_units": 24, "dropout": 0.1, "seed": 3},
    ),
    "residual": ({"family": "residual"}, {"filters": 4}, {"filters": 6, "seed": 3}),
    "functional": ({"family": "functional"}, {"filters": 8}, {"filters": 12, "seed": 3}),
    "sgd": (
        {"family": "sequential", "optimizer": "sgd", "ema_momentum": 0.9, "schedule": "cosine"},
        {"filters": 6, "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.1},
        {"filters": 8, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.2, "seed": 3},
    ),
    "half": (
        {"family": "sequential", "precision": "mixed_bfloat16"},
        {"filters": 6, "learning_rate": 0.01},
        {"filters": 8, "learning_rate": 0.02, "seed": 3},
    ),
    "weighted": (
        {"family": "sequential", "clip_norm": 1.0, "class_weights": "balanced", "optimizer": "lamb"},
        {"filters": 6},
        {"filters": 7, "seed": 3},
    ),
}


@pytest.fixture
def outcome_of():
    """Runs a training to its end and returns its metrics, its cost without the latency, and its final state."""

    def run(training):
        reports = list(training.epochs())
        cost = {name: value for name, value in reports[0].cost.items() if name != "latency_ms"}
        assert reports[0].cost["latency_ms"] > 0
        return [report.metrics for report in reports], cost, training.state()

    return run


@pytest.fixture
def traces(monkeypatch):
    """Counts the traces of epochs."""
    from trainables.training.epochs import CompiledPhase

    count = []
    own = CompiledPhase._trace

    def trace(self, **settings):
        count.append(self)
        own(self, **settings)

    monkeypatch.setattr(CompiledPhase, "_trace", trace)
    return count


@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_tell_whose_graph_it_was(case, training_of, variant_of, outcome_of, same_state):
    around, other, own = CASES[case]
    metrics, cost, state = outcome_of(training_of(variant_of(**around, **own), max_epochs=2))
    graphs = SharedGraphs()
    others, *_ = outcome_of(training_of(variant_of(**around, **other), max_epochs=2, graphs=graphs))
    assert others != metrics
    assert len(graphs) == 2  # epochs and prediction
    training = training_of(variant_of(**around, **own), max_epochs=2, graphs=graphs)
    again, cost_again, state_again = outcome_of(training)
    assert isinstance(training._compiled._train_epoch, BoundFunction)
    assert again == metrics
    assert cost_again == cost
    same_state(state_again, state)


@pytest.mark.parametrize(
    "metrics",
    [
        ("f1_score", "accuracy"),
        ("accuracy", "f1_score"),
        ("auc", "precision", "recall", "f1_score", "top_2_accuracy", "accuracy"),
    ],
    ids=str,
)
def test_every_metric_is_measured_on_anothers_graph(metrics, training_of, variant_of, outcome_of, same_state):
    variant = variant_of(filters=9, seed=3)
    expected, _, state = outcome_of(training_of(variant, max_epochs=2, metrics=metrics))
    graphs = SharedGraphs()
    training_of(variant_of(filters=6), max_epochs=2, metrics=metrics, graphs=graphs).run_epoch()
    training = training_of(variant, max_epochs=2, metrics=metrics, graphs=graphs)
    measured, _, state_again = outcome_of(training)
    assert isinstance(training._compiled._train_epoch, BoundFunction)
    assert {f"val_{name}" for name in metrics} < measured[0].keys()
    assert measured == expected
    same_state(state_again, state)


def test_a_network_and_the_one_that_was_traced_train_beside_each_other(training_of, variant_of, outcome_of, same_state):
    one, other = variant_of(filters=6), variant_of(filters=9, seed=3)
    alone = [outcome_of(training_of(variant, max_epochs=3)) for variant in (one, other)]
    graphs = SharedGraphs()
    trainings = [training_of(variant, max_epochs=3, graphs=graphs) for variant in (one, other)]
    for _ in range(3):
        for training in trainings:
            training.run_epoch()
    for training, (metrics, _, state) in zip(trainings, alone, strict=True):
        assert [report.metrics for report in training.history] == metrics
        same_state(training.state(), state)


def test_a_graph_outlives_the_network_that_it_was_traced_on(training_of, variant_of, outcome_of, same_state):
    variant = variant_of(filters=9)
    metrics, _, state = outcome_of(training_of(variant, max_epochs=2))
    graphs = SharedGraphs()
    training_of(variant_of(filters=6), max_epochs=2, graphs=graphs).run_epoch()
    gc.collect()
    again, _, state_again = outcome_of(training_of(variant, max_epochs=2, graphs=graphs))
    assert again == metrics
    same_state(state_again, state)


@pytest.mark.parametrize(
    ("params", "others"),
    [
        ({"family": "subclassed"}, {"filters": 6}),
        ({"family": "custom"}, {"width": 6}),
        ({"family": "sequential"}, {"filters": 6, "num_blocks": 1}),
        ({"family": "sequential"}, {"filters": 6, "batch_size": 31}),
        ({"family": "sequential", "l2": 0.1}, {"filters": 6}),
    ],
    ids=str,
)
def test_other_structures_are_traced_anew(params, others, training_of, variant_of, traces):
    graphs = SharedGraphs()
    for changed in ({}, others):
        training_of(variant_of(**{**params, **changed}), max_epochs=2, graphs=graphs).trace()
    assert len(traces) == 2


def test_an_augmented_training_of_another_seed_is_traced_anew(training_of, variant_of, traces):
    graphs = SharedGraphs()
    for seed, filters in ((1, 4), (2, 4), (1, 6)):
        variant = variant_of(filters=filters, seed=seed)
        training_of(variant, max_epochs=2, augment=VARIED, graphs=graphs).trace()
    assert len(traces) == 2


def test_micro_batches_are_traced_anew(training_of, variant_of, traces):
    graphs = SharedGraphs()
    for filters, num_micro_batches in ((4, 2), (6, 1), (8, 2)):
        training = training_of(variant_of(filters=filters), max_epochs=2, graphs=graphs)
        training.num_micro_batches = num_micro_batches
        training.trace()
    assert len(traces) == 3


def function_of(variable):
    @tf.function
    def product(factor):
        return {"product": variable * factor}

    return product.get_concrete_function(tf.TensorSpec([], tf.float32))


def test_a_function_runs_on_variables_of_other_shapes():
    one, other = tf.Variable([2.0, 3.0]), tf.Variable([5.0, 7.0, 11.0])
    shared = NetworkGraphs(shared=SharedGraphs(), structure="products")
    shared.keep("kind", [function_of(one)], {"weights": one})
    (bound,) = shared.take("kind", {"weights": other})
    np.testing.assert_array_equal(bound(tf.constant(2.0))["product"], [10.0, 14.0, 22.0])
    assert set(bound.structured_outputs) == {"product"}
    assert bound.structured_input_signature[0][0].dtype == tf.float32
    assert shared.take("other kind", {"weights": other}) is None


def key_of(kind, *, data=None):
    return GraphKey(kind=str(kind), structure="products", data=data)


def test_a_function_of_unnamed_variables_is_not_kept():
    graphs, variable = SharedGraphs(), tf.Variable([2.0])
    graphs.keep(key_of("one"), [function_of(variable)], {})
    assert len(graphs) == 0


def test_variables_of_other_names_types_or_axes_get_no_function():
    graphs, variable = SharedGraphs(), tf.Variable([2.0])
    graphs.keep(key_of("one"), [function_of(variable)], {"weights": variable})
    for others in (
        {},
        {"other": variable},
        {"weights": variable, "more": variable},
        {"weights": tf.Variable([2])},
        {"weights": tf.Variable([[2.0]])},
    ):
        assert graphs.take(key_of("one"), others) is None
    assert graphs.take(key_of("one"), {"weights": tf.Variable([2.0, 3.0])})


def test_functions_of_large_networks_are_not_kept(monkeypatch):
    graphs, variable = SharedGraphs(), tf.Variable([2.0, 3.0])
    monkeypatch.setattr(sharing, "MAX_KEPT_BYTES", 7)
    graphs.keep(key_of("one"), [function_of(variable)], {"weights": variable})
    assert len(graphs) == 0
    monkeypatch.setattr(sharing, "MAX_KEPT_BYTES", 8)
    graphs.keep(key_of("one"), [function_of(variable)], {"weights": variable})
    assert len(graphs) == 1


def test_functions_of_other_images_go_and_those_of_none_stay():
    graphs, variable = SharedGraphs(), tf.Variable([2.0])
    for kind, data in (("epochs", "fold 1"), ("prediction", None), ("epochs", "fold 2")):
        graphs.keep(key_of(kind, data=data), [function_of(variable)], {"weights": variable})
    assert graphs.take(key_of("epochs", data="fold 1"), {"weights": variable}) is None
    for kind, data in (("prediction", None), ("epochs", "fold 2")):
        assert graphs.take(key_of(kind, data=data), {"weights": variable})


def test_networks_without_a_structure_share_nothing():
    graphs, variable = SharedGraphs(), tf.Variable([2.0])
    for network in (NetworkGraphs(shared=graphs), NetworkGraphs(structure="known")):
        network.keep("kind", [function_of(variable)], {"weights": variable})
        assert network.take("kind", {"weights": variable}) is None
    assert len(graphs) == 0


def test_the_longest_unused_goes_first_and_each_after_so_many_uses():
    graphs, variable = SharedGraphs(), tf.Variable([2.0])
    function = function_of(variable)
    for number in range(MAX_SHARED):
        graphs.keep(key_of(number), [function], {"weights": variable})
    assert graphs.take(key_of(0), {"weights": variable})
    graphs.keep(key_of(MAX_SHARED), [function], {"weights": variable})
    assert graphs.take(key_of(1), {"weights": variable}) is None
    uses = [graphs.take(key_of(0), {"weights": variable}) is not None for _ in range(MAX_USES)]
    assert uses == [True] * (MAX_USES - 1) + [False]
    graphs.clear()
    assert len(graphs) == 0
