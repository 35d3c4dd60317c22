"""A worker trains many variants, one after the other: nothing of one reaches the next, and nothing is left behind."""

import gc

import keras
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe

from trainables.catalog.families import FAMILIES

pytestmark = pytest.mark.usefixtures("one_thread")

#: What trials in between change: precision, averages, optimizers, losses' targets, phases, seeds.
OTHERS = (
    ("residual", {"optimizer": "lamb", "ema_momentum": 0.9}),
    ("sequential", {"precision": "mixed_bfloat16", "optimizer": "sgd", "learning_rate": 0.1}),
    ("functional", {"label_smoothing": 0.2, "class_weights": "balanced"}),
    ("subclassed", {"gradient_accumulation": 2, "clip_norm": 1.0}),
    ("sequential", {"precision": "mixed_float16", "filters": 6}),
    ("custom", {"width": 3}),
)
PLAIN = ("sequential", {"num_blocks": 1, "filters": 2, "batch_norm": False})
NUM_TRIALS_LONG, NUM_TRIALS = 50, 12


def graphs():
    """Returns how many of TensorFlow's graphs are alive in this process."""
    keras.backend.clear_session()
    gc.collect()
    return sum(isinstance(item, tf.Graph) for item in gc.get_objects())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_variant_leaves_no_graph_behind(family, training_of, variant_of):
    before = graphs()
    training_of(variant_of(family), max_epochs=1).run_epoch()
    assert graphs() == before


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_are_dropped_where_users_code_may_draw_from_them(family, training_of, variant_of, monkeypatch):
    dropped = []
    monkeypatch.setattr(pywrap_tfe, "TFE_ContextClearCaches", dropped.append)
    training_of(variant_of(family), max_epochs=1)
    assert bool(dropped) == FAMILIES[family].has_own_parameters
    keras.utils.set_random_seed(1)
    assert dropped


@pytest.mark.timeout(900)
def test_the_same_variant_ends_alike_as_the_first_and_as_the_last_of_many_in_a_process(
    training_of, variant_of, same_state, is_long
):
    def train(variant):
        training = training_of(variant, max_epochs=1)
        report = training.run_epoch()
        return report.metrics, training.state()

    num_trials = NUM_TRIALS_LONG if is_long else NUM_TRIALS
    probe = variant_of("sequential", seed=11)
    metrics, state = train(probe)
    for number, (family, params) in enumerate([*OTHERS, *[PLAIN] * (num_trials - len(OTHERS) - 2)]):
        train(variant_of(family, seed=number, batch_size=50, **params))
    again, state_again = train(probe)
    assert again == metrics
    same_state(state_again, state)
    assert keras.config.dtype_policy().name == "float32"
