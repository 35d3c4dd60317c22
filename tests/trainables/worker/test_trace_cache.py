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
from trainables.worker.trace_cache import BUDGET_BYTES, MAX_KEPT, TracedTrainings, held_bytes, trace_key

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
    """A training at its end, as far as it is kept: a variant, a graph of its own or not, and numbers in variables."""

    is_reusable = True

    def __init__(self, variant, *, has_own_graph=False, sizes=()):
        self.variant, self.has_own_graph = variant, has_own_graph
        self.model = SimpleNamespace(
            variables=[SimpleNamespace(shape=(size,)) for size in sizes], optimizer=SimpleNamespace(variables=[])
        )

    def begin_again(self, variant):
        self.variant = variant


def test_of_small_ones_the_longest_unused_goes_first(variant_of):
    variants = [variant_of("sequential", filters=filters) for filters in range(1, MAX_KEPT + 2)]
    traced = TracedTrainings()
    for variant in variants:
        traced.keep(Ended(variant))
    assert [traced.take(variant) is None for variant in variants] == [True] + [False] * MAX_KEPT


@settings(max_examples=50)
@given(
    kept=st.lists(
        st.tuples(st.integers(1, 40), st.booleans(), st.integers(0, 30_000_000), st.booleans()), min_size=1, max_size=60
    )
)
def test_the_last_ones_that_fit_are_kept(kept):
    traced, expected = TracedTrainings(), {}
    for filters, has_own_graph, size, is_taken in kept:
        variant = Variant(family="sequential", params={"filters": filters}, seed=1)
        if is_taken:
            assert (traced.take(variant) is None) == (expected.pop(filters, None) is None)
        ended = Ended(variant, has_own_graph=has_own_graph, sizes=(size,))
        traced.keep(ended)
        expected.pop(filters, None)
        expected[filters] = held_bytes(ended)
        while len(expected) > MAX_KEPT or (len(expected) > 1 and sum(expected.values()) > BUDGET_BYTES):
            del expected[next(iter(expected))]
    assert len(traced) == len(expected)
    for filters in range(1, 41):
        variant = Variant(family="sequential", params={"filters": filters}, seed=1)
        assert (traced.take(variant) is not None) == (filters in expected)
    assert not traced.holds_memory


def test_a_training_holds_its_variables_twice_and_its_own_graph_alone(training_of, variant_of):
    first, second = (
        training_of(variant_of("sequential", filters=filters), max_epochs=1, graphs=graphs)
        for graphs in [SharedGraphs()]
        for filters in (4, 6)
    )
    assert not first.has_own_graph
    list(first.epochs()), list(second.epochs())
    assert first.has_own_graph
    assert not second.has_own_graph
    numbers = sum(np.size(variable) for variable in (*second.model.variables, *second.model.optimizer.variables))
    assert 8 * numbers < held_bytes(second) < 8 * numbers + 1_000_000
    assert held_bytes(first) > 4_000_000
