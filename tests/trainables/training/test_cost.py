"""What a variant costs, against numbers counted by hand."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.errors import InfeasibleError
from trainables.families.building import build_model
from trainables.specs.task import Task
from trainables.training.cost import model_cost, prediction_of

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (8, 6, 3)
#: One layer on images of 8x6x3, its parameters and its multiply-adds, by hand.
LAYERS = [
    (lambda: layers.Conv2D(4, 3, padding="same"), 3 * 3 * 3 * 4 + 4, 8 * 6 * 4 * 27),
    (lambda: layers.Conv2D(4, 3, padding="valid", use_bias=False), 108, 6 * 4 * 4 * 27),
    (lambda: layers.Conv2D(4, (5, 1), strides=2, padding="same"), 5 * 3 * 4 + 4, 4 * 3 * 4 * 15),
    (lambda: layers.Conv2D(6, 3, padding="same", groups=3), 9 * 1 * 6 + 6, 8 * 6 * 6 * 9),
    (lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 9 * 6 + 6, 8 * 6 * 6 * 9),
    # 8x6 positions of a depthwise 3x3 over 3 channels, then 3 to 5 channels.
    (lambda: layers.SeparableConv2D(5, 3, padding="same"), 27 + 15 + 5, 48 * 27 + 48 * 15),
    (lambda: layers.SeparableConv2D(5, 3, padding="valid", depth_multiplier=2), 54 + 30 + 5, 24 * 54 + 24 * 30),
    # Every input position meets the whole kernel.
    (lambda: layers.Conv2DTranspose(4, 2, strides=2, padding="valid"), 2 * 2 * 4 * 3 + 4, 48 * 3 * 16),
    (lambda: layers.Dense(7), 3 * 7 + 7, 48 * 21),
    (layers.MaxPooling2D, 0, 0),
    (layers.BatchNormalization, 12, 0),
]


#: What makes each family's models larger.
STUDIES = Path(__file__).parents[3] / "orchestrator" / "studies"
WIDTHS = {
    "sequential": {"filters": 8},
    "residual": {"filters": 8},
    "functional": {"filters": 8},
    "subclassed": {"filters": 8},
    "transfer": {"alpha": 0.1},
    "multitask": {"filters": 8},
    "unet": {"filters": 8},
    "custom": {"width": 8},
}


def cost_of(model, *, shape=SHAPE, batch_size=1):
    return model_cost(model, task=Task.classification(input_shape=shape, num_classes=2), batch_size=batch_size)


@pytest.mark.parametrize(("make", "parameters", "expected"), LAYERS)
def test_a_layer_costs_what_was_counted_by_hand(make, parameters, expected):
    cost = cost_of(keras.Sequential([keras.Input(SHAPE), make()]))
    assert (cost["parameters"], cost["multiply_adds"]) == (parameters, expected)


def test_a_known_variant_costs_what_was_counted_by_hand():
    params = {"num_blocks": 2, "filters": 4, "batch_norm": False, "dense_units": 10}
    model = build_model(
        Variant(family="sequential", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
    )
    cost = cost_of(model, shape=(8, 8, 1))
    # 8x8x4 by 3x3x1; 4x4x8 by 3x3x4; 32 to 10; 10 to 3. Parameters as in the tests of the families.
    assert cost["multiply_adds"] == 256 * 9 + 128 * 36 + 320 + 30
    assert cost["parameters"] == 699


def test_resnet_20_has_its_published_multiply_adds():
    # 40.8 million: He et al. 2015 as measured by many; with projection shortcuts 65,536 x 4 more at each halving.
    params = {"num_stages": 3, "blocks_per_stage": 3, "filters": 16}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(32, 32, 3), num_classes=10),
    )
    stem, stage = 32 * 32 * 16 * 27, 32 * 32 * 16 * 144
    halving = stage // 2 + stage
    expected = stem + 6 * stage + 2 * (halving + 4 * stage) + 2 * (16 * 16 * 32 * 16) + 640
    cost = cost_of(model, shape=(32, 32, 3))
    assert cost["multiply_adds"] == expected
    assert expected == pytest.approx(40.8e6, rel=0.01)


def shared_and_nested():
    image = keras.Input(SHAPE)
    inner = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(3, 3, padding="same"), layers.ReLU()])
    both = layers.Add()([inner(image), inner(inner(image))])
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(both)))


@keras.saving.register_keras_serializable(package="test")
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolutions = [layers.Conv2D(3, 3, padding="same") for _ in range(2)]
        self.head = keras.Sequential([layers.Flatten(), layers.Dense(2)])

    def call(self, images, training=False):
        for convolution in self.convolutions:
            images = convolution(images)
        if training:
            images = self.convolutions[0](images)
        return self.head(images)


MODELS = [
    (shared_and_nested, 3 * (48 * 3 * 27) + 144 * 2),
    (Subclassed, 2 * (48 * 3 * 27) + 144 * 2),
]


@pytest.mark.parametrize(("make", "expected"), MODELS, ids=["shared and nested", "subclassed"])
def test_every_call_of_a_layer_counts_wherever_it_stands(make, expected):
    model = make()
    model(np.zeros((1, *SHAPE), np.float32))
    assert cost_of(model)["multiply_adds"] == expected
    # And the layers are as they were: asking again gives the same, and none keeps taking notes.
    assert cost_of(model)["multiply_adds"] == expected
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


@pytest.mark.parametrize("family", WIDTHS)
def test_the_estimate_grows_with_batch_model_and_optimizer(family, variant_of):
    small, large = ({name: factor * value for name, value in WIDTHS[family].items()} for factor in (1, 2))

    def memory(batch_size=1, optimizer=None, params=small):
        model = built(variant_of(family, seed=0, **params))
        model.compile(optimizer=optimizer or keras.optimizers.SGD(0.1, momentum=0.0), loss="mse")
        model.optimizer.build(model.trainable_variables)
        return cost_of(model, shape=(8, 8, 1), batch_size=batch_size)["memory_mb"]

    one, two, three = (memory(batch_size) for batch_size in (1, 2, 3))
    assert one < two
    assert two - one == pytest.approx(three - two)
    assert memory(params=large) > one
    weights = sum(np.prod(variable.shape) for variable in built(variant_of(family, **small)).trainable_variables)
    # Adam keeps two numbers beside each weight, plain SGD none.
    assert memory(optimizer=keras.optimizers.Adam(0.1)) - one == pytest.approx(2 * 4 * weights / 1e6, rel=1e-3)


def built(variant):
    task = Task.classification(input_shape=(8, 8, 1), num_classes=3)
    if "classification" not in FAMILIES[variant.family].kinds:
        task = replace(task, targets=(replace(task.targets[0], kind="mask", metrics=("iou",)),))
    return build_model(variant, task=task, study_dir=str(STUDIES))


def test_a_backbone_has_its_published_multiply_adds():
    # Howard et al. 2017, arXiv:1704.04861, table 8: 569 million with a top of 1024 x 1000, here 1024 x 2.
    variant = Variant(family="transfer", params={"backbone": "MobileNet"}, seed=0)
    model = build_model(variant, task=Task.classification(input_shape=(224, 224, 3), num_classes=2))
    assert round((cost_of(model, shape=(224, 224, 3))["multiply_adds"] + 1024 * 998) / 1e6) == 569


def test_the_memory_of_one_convolution_is_what_was_counted_by_hand():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3, padding="same", use_bias=False)])
    activations, weights = 8 * 6 * 3 + 8 * 6 * 4, 108
    assert cost_of(model, batch_size=5)["memory_mb"] == (5 * activations + 2 * weights) * 4 / 1e6


def test_a_training_tells_its_cost_once(training_of, variant_of):
    training = training_of(variant_of(), max_epochs=2)
    first, second = training.epochs()
    assert first.cost["parameters"] == training.model.count_params()
    assert set(first.cost) == {"parameters", "multiply_adds", "memory_mb", "latency_ms"}
    assert first.cost["latency_ms"] > 0
    assert second.cost == {}


def test_a_call_knows_its_layer_and_its_sizes():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3, padding="same")])
    (call,) = prediction_of(model, task=Task.classification(input_shape=SHAPE, num_classes=2)).calls
    assert (call.layer, call.num_inputs, call.num_outputs) == (model.layers[0], 144, 192)


def test_a_variant_above_a_limit_is_refused_untrained_with_each_limit(training_of, variant_of):
    exact = training_of(variant_of()).run_epoch().cost
    training_of(variant_of(), limits={name: exact[name] for name in ("parameters", "multiply_adds", "memory_mb")})
    with pytest.raises(InfeasibleError) as error:
        training_of(variant_of(), limits={"parameters": exact["parameters"] - 1, "multiply_adds": 10, "memory_mb": 1e9})
    assert str(error.value) == (
        f"the variant costs too much: parameters {exact['parameters']:,.0f} (space.limits allows "
        f"{exact['parameters'] - 1:,.0f}), multiply_adds {exact['multiply_adds']:,.0f} (space.limits allows 10); "
        "nothing was trained"
    )


def test_a_timed_prediction_is_the_models_own():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    image = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    predict = prediction_of(model, task=Task.classification(input_shape=SHAPE, num_classes=3)).run
    np.testing.assert_allclose(predict(image), model(image), rtol=1e-5)
