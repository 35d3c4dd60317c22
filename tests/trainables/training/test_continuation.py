"""What a state must hold so that nothing of the next epoch is lost, and when it is taken."""

import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.checkpoints.state_names import UNTRACKED
from trainables.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("one_thread")

#: A user's model with state in every place where Keras does not look for it.
STATEFUL = """
import keras, tensorflow as tf
from keras import layers
ELSEWHERE = keras.random.SeedGenerator(3)
class Noise(layers.Layer):
    def __init__(self):
        super().__init__()
        self.own = {"deep": [keras.random.SeedGenerator(2)]}
        self.generator = tf.random.Generator.from_seed(5)
        self.count = tf.Variable(0.0, trainable=False)
    def call(self, x, training=False):
        shape = tf.shape(x)
        if training:
            self.count.assign_add(1.0)
        noise = keras.random.normal(shape, seed=self.own["deep"][0]) + keras.random.normal(shape, seed=ELSEWHERE)
        return x + 0.01 * self.count * (noise + keras.random.normal(shape) + self.generator.normal(shape))
def build(params, input_shape, targets):
    image = keras.Input(input_shape)
    assert {"width", "dropout"} == set(params)
    features = Noise()(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""


@pytest.fixture(scope="module")
def stateful(tmp_path_factory, training_of, variant_of):
    """Makes a training of that model."""
    folder = tmp_path_factory.mktemp("stateful")
    (folder / "stateful_model.py").write_text(STATEFUL, encoding="utf-8")
    variant = variant_of("custom", function="stateful_model:build")

    def make():
        return training_of(variant, max_epochs=3, study_dir=str(folder))

    return make


def test_variables_that_keras_does_not_list_are_saved_and_a_training_goes_on_with_them(stateful, same_state):
    whole = stateful()
    first = whole.run_epoch()
    state, rest = whole.state(), [whole.run_epoch().metrics, whole.run_epoch().metrics]
    # A plain variable, and the states of a generator of TensorFlow's, one in no layer, and Keras's own.
    sizes = sorted(array.size for name, array in state.items() if name.startswith(UNTRACKED))
    assert sizes == [1, 2, 2, 3]
    resumed = stateful()
    resumed.load_state(state, history=[first])
    same_state(resumed.state(), state)
    assert [resumed.run_epoch().metrics, resumed.run_epoch().metrics] == rest
    same_state(resumed.state(), whole.state())


def test_untracked_variables_of_another_number_are_refused(stateful):
    training = stateful()
    report = training.run_epoch()
    state = training.state() | {f"{UNTRACKED}0099": np.zeros(2)}
    with pytest.raises(CheckpointError, match=r"the checkpoint holds \d+ arrays, variant [0-9a-f]{12} has \d+"):
        stateful().load_state(state, history=[report])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_is_taken_before_validation_changes_nothing_after_and_later_epochs_leave_it_alone(
    family, training_of, variant_of, same_state
):
    training = training_of(variant_of(family, ema_momentum=0.9), max_epochs=2)
    taken = []
    training.on_trained = lambda: taken.append(training.state())
    training.run_epoch()
    kept = {name: array.copy() for name, array in taken[0].items()}
    same_state(training.state(), kept)
    assert not any(name.startswith(UNTRACKED) for name in kept), "Keras no longer lists a variable of this family"
    training.run_epoch()
    same_state(taken[0], kept)
    assert any(not np.array_equal(taken[1][name], array) for name, array in kept.items())
