"""What a user's model is made of: equal for equal models, and a difference is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.checkpoints.model_difference import model_difference

pytestmark = pytest.mark.usefixtures("one_thread")

#: Models of every way to make one, as a function of what may change.
MODELS = """
import keras
from keras import layers, ops


class Gate(layers.Layer):
    def __init__(self, units, power=2, **options):
        super().__init__(**options)
        self.units, self.power = units, power
        self.inner = layers.Dense(units)

    def call(self, inputs):
        return self.inner(inputs) ** self.power

    def get_config(self):
        return {**super().get_config(), "units": self.units, "power": self.power}


class Whole(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.body = keras.Sequential([layers.RandomRotation(0.1), layers.Flatten(), Gate(units), layers.Dropout(0.1)])
        self.end = layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.end(self.body(inputs))

    def get_config(self):
        return {"units": self.end.units, "what no file holds": {1, 2}}


def build(kind="graph", units=4, activation="relu", initializer="he_normal", side=4, swapped=False, extra=False,
          dtype="float32", power=2):
    image = keras.Input((8, 8, 1))
    if kind == "class":
        model = Whole(units)
        model(image)
        return model
    small = ops.image.resize(image / 255.0, (side, side))
    one = layers.Conv2D(units, 3, activation=activation, kernel_initializer=initializer, padding="same")(small)
    two = layers.Conv2D(units, 1, padding="same")(one)
    features = layers.Subtract()([two, one] if swapped else [one, two])
    features = layers.Lambda(lambda maps: maps * 2)(features)
    if extra:
        features = layers.ReLU()(features)
    features = Gate(units, power)(layers.Flatten()(features))
    return keras.Model(image, layers.Dense(3, activation="softmax", dtype=dtype)(features))
"""
IN_ANOTHER_PROCESS = """
import json, sys
import models
from trainables.families.parts.signature import signature_of
models.build()
print(json.dumps([signature_of(models.build(kind)) for kind in ("graph", "class")]))
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Builds one of the models, after others, so that Keras's numbers in names differ."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    import models

    yield models.build
    sys.path.remove(str(folder))
    del sys.modules["models"]


def signature(model):
    from trainables.families.parts.signature import signature_of

    return signature_of(model)


@pytest.mark.parametrize("kind", ["graph", "class"])
def test_equal_models_have_equal_signatures_whatever_keras_names_their_layers(build, kind):
    first, second = build(kind), build(kind)
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    assert signature(first) == signature(second)
    assert model_difference(signature(first), signature(second)) == ""


def test_a_signature_is_the_same_in_another_process_and_after_a_file(build):
    import models

    path = os.pathsep.join([str(Path(models.__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "12"}
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], env=environment, capture_output=True, text=True, check=True
    )
    elsewhere = json.loads(done.stdout.splitlines()[-1])
    assert elsewhere == [signature(build("graph")), signature(build("class"))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"units": 5}, "layer 2 of 10, Conv2D: filters was 4 and is 5 now"),
        ({"activation": "elu"}, "layer 2 of 10, Conv2D: activation was 'relu' and is 'elu' now"),
        ({"initializer": "he_uniform"}, "layer 2 of 10, Conv2D: kernel_initializer is another one now"),
        ({"power": 3}, "Gate: power was 2 and is 3 now"),
        ({"side": 5}, "layer 7 of 10, Dense: its weights were 64x4 float32, 4 float32 and are 100x4 float32, 4 float"),
        ({"swapped": True}, "of Subtract, gets other inputs or arguments now"),
        ({"extra": True}, "layer 6 of 10 was Flatten and is ReLU now"),
        ({"dtype": "float64"}, "Dense: dtype is another one now"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_the_first_difference_is_named(build, change, words):
    found = model_difference(signature(build()), signature(build(**change)))
    assert words in found


def test_settings_of_another_keras_are_not_compared_and_weights_are(build):
    old = {**signature(build()), "keras": "2.0"}
    assert model_difference(old, signature(build(activation="elu"))) == ""
    found = model_difference(old, signature(build(units=5)))
    assert found.startswith("it had ")
    assert "weight 1 of 8 was 3x3x1x4 float32 and is 3x3x1x5 float32 now" in found
