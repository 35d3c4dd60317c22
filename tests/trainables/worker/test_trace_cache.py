"""A trace that serves a further variant gives every bit that the variant's own trace would."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Variant
from trainables.families.parts.blocks import HEAD_DROPOUT
from trainables.graphs.sharing import SharedGraphs
from trainables.specs.data import AugmentSpec
from trainables.worker.trace_cache import (
    ALWAYS_KEPT,
    BUDGET_BYTES,
    MAX_KEPT,
    TracedTrainings,
    all_bytes,
    held_by,
    trace_key,
)

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = ("sequential", "residual", "functional", "multitask", "subclassed")
VARIED = AugmentSpec(flip="horizontal", crop_padding=1)
#: Parameters around the knobs, and two settings of the knobs each.
CASES = {
    "adam": ({"optimizer": "adam"}, {"learning_rate": 0.01, "dropout": 0.2}, {"learning_rate": 0.002, "dropout": 0.5}),
    "adamw": (
        {"optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 0.5},
        {"learning_rate": 0.01, "weight_decay": 0.1},
        {"learning_rate": 0.003, "weight_decay": 0.004},
    ),
    "sgd": (
        {"optimizer": "sgd", "ema_momentum": 0.9, "clip_norm": 1.0},
        {"learning_rate": 0.1, "momentum": 0.5},
        {"learning_rate": 0.05, "momentum": 0.9},
    ),
    "gathered": (
        {"optimizer": "lamb", "gradient_accumulation": 2, "label_smoothing": 0.1, "class_weights": "balanced"},
        {"learning_rate": 0.01, "weight_decay": 0.1},
        {"learning_rate": 0.02, "weight_decay": 0.2},
    ),
    "half": (
        {"optimizer": "sgd", "precision": "mixed_float16"},
        {"learning_rate": 0.01, "weight_decay": 0.1, "momentum": 0.5},
        {"learning_rate": 0.02, "weight_decay": 0.2, "momentum": 0.6},
    ),
}


@pytest.fixture
def outcome_of():
    """Runs a training to its end and returns its metrics by epoch and its final state."""

    def run(training):
        return [report.metrics for report in training.epochs()], training.state()

    return run


def reused(first, variant):
    """Returns a training of the variant on the trace of another one, after its epochs."""
    list(first.epochs())
    traced = TracedTrainings()
    traced.keep(first)
    training = traced.take(variant)
    assert training is first
    return training


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_bit_equally_on_anothers_trace(family, training_of, variant_of, outcome_of, same_state):
    others, variant = (
        variant_of(family, learning_rate=rate, dropout=dropout, weight_decay=0.01)
        for rate, dropout in ((0.01, 0.4), (0.004, 0.25))
    )
    metrics, state = outcome_of(training_of(variant, max_epochs=2, augment=VARIED))
    again, state_again = outcome_of(reused(training_of(others, max_epochs=2, augment=VARIED), variant))
    assert again == metrics
    same_state(state_again, state)


@pytest.mark.parametrize("case", CASES)
def test_every_knob_gives_bits_that_do_not_tell_whose_trace_it_was(
    case, training_of, variant_of, outcome_of, same_state
):
    around, other, own = CASES[case]
    variant = variant_of("sequential", **around, **own)
    metrics, state = outcome_of(training_of(variant, max_epochs=2))
    first = training_of(variant_of("sequential", **around, **other), max_epochs=2)
    other_metrics, _ = outcome_of(training_of(variant_of("sequential", **around, **other), max_epochs=2))
    assert other_metrics != metrics
    again, state_again = outcome_of(reused(first, variant))
    assert again == metrics
    same_state(state_again, state)


@pytest.mark.parametrize("between", [("residual", "sequential"), ("residual", "custom", "sequential")])
def test_trainings_between_two_on_a_trace_change_no_bit(between, training_of, variant_of, outcome_of, same_state):
    # TensorFlow's kernels are kept meanwhile, but not where users' code is built.
    of_family = {"residual": {}, "custom": {"width": 3}, "sequential": {"filters": 6, "dropout": 0.1}}
    variant = variant_of("sequential", learning_rate=0.004, dropout=0.25)
    metrics, state = outcome_of(training_of(variant, max_epochs=2, augment=VARIED))
    first = training_of(variant_of("sequential", learning_rate=0.01, dropout=0.4), max_epochs=2, augment=VARIED)
    list(first.epochs())
    for family in between:
        list(training_of(variant_of(family, seed=5, **of_family[family]), max_epochs=1, augment=VARIED).epochs())
    again, state_again = outcome_of(reused(first, variant))
    assert again == metrics
    same_state(state_again, state)


def test_a_training_that_diverged_leaves_nothing_in_the_next_one(training_of, variant_of, outcome_of, same_state):
    variant = variant_of("sequential", optimizer="sgd", learning_rate=0.01)
    metrics, state = outcome_of(training_of(variant, max_epochs=1))
    broken = training_of(variant_of("sequential", optimizer="sgd", learning_rate=90.0), max_epochs=1)
    broken.run_epoch()
    for variable in broken.model.variables:
        variable.assign(variable * float("nan") if "float" in variable.dtype else variable)
    again, state_again = outcome_of(reused(broken, variant))
    assert again == metrics
    same_state(state_again, state)


def test_a_reused_training_tells_the_cost_that_was_counted_and_neither_building_nor_tracing(training_of, variant_of):
    first = training_of(variant_of("sequential", learning_rate=0.01), max_epochs=2)
    report = first.run_epoch()
    second = reused(first, variant_of("sequential", learning_rate=0.02))
    assert second.epoch == 0
    again = second.run_epoch()
    assert again.cost == report.cost
    assert "trace" in report.overhead_seconds
    assert "trace" not in again.overhead_seconds


@pytest.mark.parametrize("rate", [0.1, 0.35, 0.5, 0.77])
def test_dropout_at_a_variables_rate_draws_what_keras_draws(rate, training_of, variant_of):
    model = training_of(variant_of("sequential", dropout=rate), max_epochs=1).model
    layer = model.get_layer(HEAD_DROPOUT)
    numbers = np.random.default_rng(0).normal(size=(64, 50)).astype(np.float32)
    state = layer.seed_generator.state.numpy()
    own = layer(numbers, training=True)
    layer.seed_generator.state.assign(state)
    keras_own = type(layer).call(layer, numbers, training=True)
    assert 0 < np.count_nonzero(own) < own.numpy().size
    np.testing.assert_array_equal(own, keras_own)
    np.testing.assert_array_equal(layer(numbers, training=False), numbers)


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"learning_rate": 0.5}, True),
        ({"dropout": 0.1}, True),
        ({"dropout": 0.0}, False),
        ({"weight_decay": 0.2}, False),
        ({"filters": 5}, False),
        ({"batch_size": 31}, False),
        ({"optimizer": "sgd"}, False),
        ({"patience": 3}, False),
    ],
)
def test_only_knobs_that_are_not_off_share_a_trace(changed, is_same, variant_of):
    one = variant_of("sequential", dropout=0.3)
    other = Variant(family=one.family, params={**one.params, **changed}, seed=one.seed)
    assert (trace_key(one) == trace_key(other)) is is_same


def test_another_seed_has_a_trace_of_its_own(variant_of):
    assert trace_key(variant_of(seed=1)) != trace_key(variant_of(seed=2))


@pytest.mark.parametrize(("family", "params"), [("custom", {}), ("transfer", {"frozen_epochs": 1})])
def test_what_users_wrote_and_what_has_phases_is_traced_anew(family, params, training_of, variant_of):
    training = training_of(variant_of(family, **params), max_epochs=2)
    training.run_epoch()
    traced = TracedTrainings()
    traced.keep(training)
    assert traced.take(training.variant) is None


class Ended:
    """A training at its end, as far as it is kept: a variant, numbers in variables, and a graph."""

    is_reusable = True
    num_states = 1

    def __init__(self, variant, *, size=0, graph=None):
        self.variant, self.graph = variant, graph
        self.model = SimpleNamespace(
            variables=[SimpleNamespace(shape=(size,))], optimizer=SimpleNamespace(variables=[])
        )

    def begin_again(self, variant):
        self.variant = variant


def test_of_small_ones_the_longest_unused_goes_first(variant_of):
    variants = [variant_of("sequential", filters=filters) for filters in range(1, MAX_KEPT + 2)]
    traced = TracedTrainings()
    for variant in variants:
        traced.keep(Ended(variant))
    assert [traced.take(variant) is None for variant in variants] == [True] + [False] * MAX_KEPT


GRAPHS = [object() for _ in range(40)]


@settings(max_examples=200)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 40) | st.integers(1, 10),
            st.sampled_from([0, 1_000_000, 4_000_000]),
            st.sampled_from(GRAPHS),
            st.booleans(),
        ),
        min_size=10,
        max_size=80,
    )
)
def test_the_last_ones_that_fit_are_kept(steps):
    traced, expected = TracedTrainings(), {}
    for filters, size, graph, is_taken in steps:
        variant = Variant(family="sequential", params={"filters": filters}, seed=1)
        there = expected.pop(filters, None)
        if is_taken:
            assert traced.take(variant) is there
        ended = Ended(variant, size=size, graph=graph)
        traced.keep(ended)
        expected[filters] = ended
        # A graph that several run counts once.
        for _ in range(len(expected)):
            own = sum(500_000 + 8 * kept.model.variables[0].shape[0] for kept in expected.values())
            graphs = 4_125_000 * len({kept.graph for kept in expected.values()})
            if len(expected) > MAX_KEPT or (len(expected) > ALWAYS_KEPT and own + graphs > BUDGET_BYTES):
                del expected[next(iter(expected))]
    assert len(traced) == len(expected)
    for filters in range(1, 41):
        variant = Variant(family="sequential", params={"filters": filters}, seed=1)
        assert traced.take(variant) is expected.get(filters)
    assert not traced.holds_memory


def test_trainings_hold_their_variables_twice_and_one_graph_together(training_of, variant_of):
    shared = SharedGraphs()
    first, second, other = (
        training_of(variant_of("sequential", **params), max_epochs=1, graphs=shared)
        for params in ({"filters": 4}, {"filters": 6}, {"filters": 4, "num_blocks": 3})
    )
    assert first.graph is None
    for training in (first, second, other):
        list(training.epochs())
    assert first.graph is second.graph
    assert other.graph is not first.graph
    numbers = sum(np.size(variable) for variable in (*second.model.variables, *second.model.optimizer.variables))
    assert 8 * numbers < held_by(second).own_bytes < 8 * numbers + 1_000_000
    one, two, three = (all_bytes(map(held_by, kept)) for kept in ([first], [first, second], [first, second, other]))
    assert two - one == held_by(second).own_bytes
    assert three - two > 4_000_000
