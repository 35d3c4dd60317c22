"""What each family of models is made of, what it refuses, and what its parameters may be."""

import numpy as np
import pytest

from search_spaces import Variant
from trainables.errors import InfeasibleError
from trainables.families.building import build_model
from trainables.specs.task import Task

pytestmark = pytest.mark.usefixtures("one_thread")


def images_of(shape, *, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.float32)


def built_weights(family, params):
    model = build_model(
        Variant(family=family, params=params, seed=0), task=Task.classification(input_shape=(8, 8, 1), num_classes=4)
    )
    return model.weights


#: Two modules of 1x1 and 3x3 convolutions, all with 4 filters.
EQUAL_MODULES = {"pool_every": 2, "filters": 4, "merge": "add", "skip": "add", "batch_norm": False}

COUNTS = [
    # 2 convolutions 40 + 296, dense 2*2*8*10 + 10, output 10*3 + 3
    ("sequential", {"filters": 4, "batch_norm": False, "dense_units": 10}, (8, 8, 1), 3, 699),
    # no biases (36 + 288), four numbers a normalised channel (16 + 32), then as above
    ("sequential", {"filters": 4, "batch_norm": True, "dense_units": 10}, (8, 8, 1), 3, 735),
    # valid 5x5 convolutions, no pooling: 104 + 404, output 12*12*4 * 2 + 2
    (
        "sequential",
        {"filters": 4, "filters_growth": 1.0, "kernel_size": 5, "padding": "valid", "pooling": "none"}
        | {"batch_norm": False},
        (20, 20, 1),
        2,
        1662,
    ),
    # stem 40; 148 + 148 with the identity beside; 296 + 584 with a projection of 40; output 27
    ("residual", {"num_stages": 2, "filters": 4, "batch_norm": False}, (8, 8, 1), 3, 1283),
    # stem 36 + 16; 288 + 32; 288 + 576 + 32 + 3 * 32; output 27
    ("residual", {"num_stages": 2, "filters": 4, "batch_norm": True}, (8, 8, 1), 3, 1391),
    # convolutions 40 + 148, output 4 * 3 + 3
    (
        "sequential",
        {"num_blocks": 1, "convs_per_block": 2, "filters": 4, "batch_norm": False, "head": "global_max"},
        (8, 8, 1),
        3,
        203,
    ),
    # depthwise 9 * 2, pointwise 2 * 4, norm 16; depthwise 25 * 4, pointwise 4 * 6, norm 24; output 6 * 3 + 3
    (
        "sequential",
        {"filters": (4, 6), "kernel_size": (3, 5), "separable": True, "head": "global_average"},
        (8, 8, 2),
        3,
        211,
    ),
    # stem 20; 1x1 to 2: 6, 3x3: 38, 1x1 to 8: 24, projection to 8: 24; output 27
    ("residual", {"block": "bottleneck", "num_stages": 1, "filters": 2, "batch_norm": False}, (8, 8, 1), 3, 139),
    # stem 36; (16 + 144) * 2; 16 + 288 + 32 + 576 with a bare projection of 32; last norm 32; output 27
    ("residual", {"pre_activation": True, "num_stages": 2, "filters": 4}, (8, 8, 1), 3, 1359),
    # 1283 as above; gates 4-2-4: 10 + 12 and 8-4-8: 36 + 40; stochastic depth has no parameters
    (
        "residual",
        {"num_stages": 2, "filters": 4, "batch_norm": False, "squeeze_excite": 2, "stochastic_depth": 0.5},
        (8, 8, 1),
        3,
        1381,
    ),
    # stem 40; 1x1 to 2: 10, 3x3 to 2: 74; output 15
    ("functional", {"num_modules": 1, "filters": 4, "batch_norm": False}, (8, 8, 1), 3, 139),
    # stem 40; two modules of 1x1: 20 and 3x3: 148; output 15
    ("functional", EQUAL_MODULES, (8, 8, 1), 3, 391),
    # one module's convolutions less
    ("functional", EQUAL_MODULES | {"shared": True}, (8, 8, 1), 3, 223),
    # stem 40; 1x1: 20, then 8 channels; reduction to 4: 36, 1x1: 20, then 12 channels; output 39
    (
        "functional",
        {"branches": 1, "filters": 4, "filters_growth": 1.0, "batch_norm": False, "skip": "concatenate"},
        (8, 8, 1),
        3,
        155,
    ),
    # stem 20; 3x3 twice: 38 * 2; output 9
    (
        "functional",
        {"num_modules": 1, "branch_kernels": (3, 3), "merge": "add", "filters": 2, "batch_norm": False},
        (8, 8, 1),
        3,
        105,
    ),
]


@pytest.mark.parametrize(("family", "params", "shape", "num_classes", "expected"), COUNTS)
def test_parameters_are_as_many_as_counted_by_hand(family, params, shape, num_classes, expected):
    model = build_model(
        Variant(family=family, params=params, seed=0),
        task=Task.classification(input_shape=shape, num_classes=num_classes),
    )
    assert model.count_params() == expected


@pytest.mark.parametrize(
    ("preset", "published_millions", "expected"),
    # With n blocks a stage, by hand: stem 464; 2n * 2,336; 4,608 + (2n - 1) * 9,216 + 2n * 64 and a projection of 576;
    # 18,432 + (2n - 1) * 36,864 + 2n * 128 and a projection of 2,176; output 650. He et al. 2015, table 6, tells them
    # in millions, without the 2,752 of the two projections.
    [("resnet20", 0.27, 272_474), ("resnet32", 0.46, 466_906), ("resnet56", 0.85, 855_770)],
)
def test_a_preset_has_its_published_number_of_trainable_parameters(preset, published_millions, expected):
    variant = Variant(family="residual", params={"preset": preset}, seed=0)
    model = build_model(variant, task=Task.classification(input_shape=(32, 32, 3), num_classes=10))
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert count == expected
    assert round((count - 2752) / 1e6, 2) == published_millions
    # Convolutions on the main path and the output: the layers that its name counts.
    assert sum("Conv2D" in type(layer).__name__ for layer in model.layers) - 2 + 1 == int(preset.removeprefix("resnet"))


def test_a_preset_wins_over_the_parameters_that_it_fixes():
    spelled_out = {"num_stages": 3, "blocks_per_stage": 3, "filters": 16, "filters_growth": 2.0, "block": "basic"}
    fixed = {"preset": "resnet20", "num_stages": 1, "filters": 4, "block": "bottleneck", "activation": "elu"}
    shapes = [
        [weight.shape for weight in built_weights("residual", params)]
        for params in (spelled_out | {"activation": "elu"}, fixed)
    ]
    assert shapes[0] == shapes[1]


def test_each_residual_stage_but_the_first_halves_the_image_and_grows_its_filters():
    params = {"num_stages": 3, "blocks_per_stage": 2, "filters": 4, "filters_growth": 1.5}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(28, 20, 1), num_classes=2),
    )
    sums = [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "Add"]
    assert sums == [(28, 20, 4)] * 2 + [(14, 10, 6)] * 2 + [(7, 5, 9)] * 2


def test_a_bottleneck_block_widens_fourfold_and_halves_in_its_3x3_convolution():
    params = {"block": "bottleneck", "num_stages": 2, "blocks_per_stage": 2, "filters": 4}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(28, 20, 1), num_classes=2),
    )
    sums = [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "Add"]
    assert sums == [(28, 20, 16)] * 2 + [(14, 10, 32)] * 2
    assert {layer.kernel_size[0] for layer in model.layers if getattr(layer, "strides", None) == (2, 2)} == {1, 3}
    halving = [layer for layer in model.layers if getattr(layer, "strides", None) == (2, 2)]
    assert sorted((layer.kernel_size[0], layer.filters) for layer in halving) == [(1, 32), (3, 8)]


@pytest.mark.parametrize("pre_activation", [True, False])
def test_pre_activation_leaves_the_way_of_the_shortcuts_free(pre_activation):
    params = {"blocks_per_stage": 3, "num_stages": 1, "filters": 4, "pre_activation": pre_activation}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
    )
    sums = [layer for layer in model.layers if type(layer).__name__ == "Add"]
    parents = [[parent.operation for parent in layer._inbound_nodes[0].parent_nodes] for layer in sums]
    assert [sums[0] in parents[1], sums[1] in parents[2]] == [pre_activation] * 2


def test_a_pre_activated_block_projects_its_normalised_input():
    params = {"num_stages": 2, "filters": 4, "pre_activation": True}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
    )
    (projection,) = [layer for layer in model.layers if getattr(layer, "kernel_size", None) == (1, 1)]
    (parent,) = projection._inbound_nodes[0].parent_nodes
    assert type(parent.operation).__name__ == "Activation"


def test_the_rate_of_stochastic_depth_grows_linearly_from_block_to_block():
    params = {"num_stages": 2, "blocks_per_stage": 2, "stochastic_depth": 0.4}
    model = build_model(
        Variant(family="residual", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
    )
    dropouts = [layer for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert [layer.rate for layer in dropouts] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    dropped = np.asarray(dropouts[-1](np.ones((200, 3, 3, 2), np.float32), training=True))
    by_image = dropped.reshape(200, -1)
    assert (by_image == by_image[:, :1]).all()
    assert set(np.unique(by_image).round(4)) == {0.0, np.float32(1 / 0.6).round(4)}
    assert 0.25 < (by_image[:, 0] == 0).mean() < 0.55


def test_squeeze_and_excitation_gates_each_channel_by_all_averages():
    import keras

    from trainables.families.parts.blocks import squeeze_excite

    image = keras.Input((4, 4, 6))
    model = keras.Model(image, squeeze_excite(image, ratio=3, activation="relu"))
    features = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype(np.float32)
    squeeze, squeeze_bias, excite, excite_bias = [weight.numpy() for weight in model.weights]
    assert squeeze.shape == (6, 2)
    hidden = np.maximum(features.mean(axis=(1, 2)) @ squeeze + squeeze_bias, 0)
    gate = 1 / (1 + np.exp(-(hidden @ excite + excite_bias)))
    np.testing.assert_allclose(model(features), features * gate[:, None, None, :], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("separable", [True, False])
def test_the_l2_penalty_weighs_every_kernel_and_nothing_else(separable):
    params = {"l2": 0.01, "dense_units": 5, "separable": separable, "filters": 4}
    model = build_model(
        Variant(family="sequential", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
    )
    kernels = [weight.numpy() for weight in model.trainable_weights if "kernel" in weight.name]
    assert len(kernels) == (6 if separable else 4)
    assert float(sum(model.losses)) == pytest.approx(0.01 * sum((kernel**2).sum() for kernel in kernels), rel=1e-5)


def test_only_the_first_convolution_of_a_block_strides():
    params = {"num_blocks": 2, "convs_per_block": 3, "stride": 2, "pooling": "none", "filters": (4, 5), "l2": 0}
    params |= {"spatial_dropout": 0.2, "kernel_size": (5, 3)}
    model = build_model(
        Variant(family="sequential", params=params, seed=0),
        task=Task.classification(input_shape=(16, 16, 1), num_classes=2),
    )
    convolutions = [layer for layer in model.layers if "Conv2D" in type(layer).__name__]
    assert [layer.output.shape[1:] for layer in convolutions] == [(8, 8, 4)] * 3 + [(4, 4, 5)] * 3
    assert [layer.kernel_size[0] for layer in convolutions] == [5] * 3 + [3] * 3
    assert sum(type(layer).__name__ == "SpatialDropout2D" for layer in model.layers) == 2


def test_shared_modules_use_one_convolution_with_statistics_of_their_own():
    params = EQUAL_MODULES | {"shared": True, "batch_norm": True}
    model = build_model(
        Variant(family="functional", params=params, seed=0),
        task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
    )
    uses = {layer.name: len(layer._inbound_nodes) for layer in model.layers if type(layer).__name__ == "Conv2D"}
    assert sorted(uses.values()) == [1, 2, 2]
    assert sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers) == 1 + 2 * 2


def test_modules_are_pooled_and_grow_together():
    params = {"num_modules": 5, "pool_every": 2, "filters": 4, "skip": "concatenate"}
    model = build_model(
        Variant(family="functional", params=params, seed=0),
        task=Task.classification(input_shape=(20, 8, 1), num_classes=2),
    )
    outputs = [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "Concatenate"]
    merged, skipped = outputs[::2], outputs[1::2]
    assert merged == [(20, 8, 4)] * 2 + [(10, 4, 8)] * 2 + [(5, 2, 16)]
    assert [shape[-1] for shape in skipped] == [8, 12, 20, 28, 44]


INFEASIBLE = [
    ("sequential", {"num_blocks": 5, "padding": "valid"}, "the 3x3 convolution of block 4 needs at least 3x3 pixels"),
    ("sequential", {"num_blocks": 3, "padding": "valid", "kernel_size": 15, "pooling": "none"}, "of block 2 needs"),
    ("sequential", {"num_blocks": 2, "padding": "valid", "kernel_size": 1, "stride": 8}, "the pooling of block 2"),
    ("residual", {"num_stages": 6}, "6 stages halve the image 5 times"),
    ("residual", {"num_stages": 8}, "use at most 5 stages"),
    ("sequential", {"num_blocks": 1, "convs_per_block": 8, "padding": "valid", "kernel_size": 5}, "of block 1 needs"),
    ("sequential", {"kernel_size": (3, 15), "padding": "valid"}, "the 15x15 convolution of block 2 needs"),
    ("functional", {"num_modules": 6}, "6 modules pool the image 5 times"),
    ("functional", {"num_modules": 11, "pool_every": 2}, "11 modules pool the image 5 times"),
]

JUST_FITTING = [
    ("sequential", {"num_blocks": 1, "padding": "valid", "kernel_size": 15, "stride": 8}),
    ("sequential", {"num_blocks": 2, "padding": "valid", "kernel_size": 14, "pooling": "none"}),
    ("residual", {"num_stages": 5}),
    ("sequential", {"num_blocks": 1, "convs_per_block": 6, "padding": "valid", "kernel_size": 5}),
    ("functional", {"num_modules": 5, "filters": 2}),
    ("functional", {"num_modules": 6, "filters": 2, "filters_growth": 1.0, "pooling": "none"}),
]

#: What fits no image at all.
CONTRADICTIONS = [
    ("sequential", {"filters": (8, 16, 32)}, "filters lists 3 values for 2 blocks, got [8, 16, 32]; use one value a"),
    ("sequential", {"kernel_size": (3,)}, "kernel_size lists 1 values for 2 blocks, got [3]; use one value a block"),
    ("functional", {"filters": 3, "branches": 4}, "3 filters of a module cannot be divided over 4 branches"),
    ("functional", {"filters": 4, "filters_growth": 0.5, "branch_kernels": (1, 3, 5)}, "2 filters of a module cannot"),
    ("functional", {"shared": True}, "but the modules have [16, 32]; use more modules, filters_growth 1, or a"),
    ("functional", {"shared": True, "num_modules": 1}, "but the modules have [16]; use more modules"),
]


@pytest.mark.parametrize(("family", "params", "words"), CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_in_words(family, params, words):
    with pytest.raises(InfeasibleError) as refused:
        build_model(
            Variant(family=family, params=params, seed=0),
            task=Task.classification(input_shape=(64, 64, 3), num_classes=10),
        )
    assert words in str(refused.value)


@pytest.mark.parametrize(("family", "params", "words"), INFEASIBLE)
def test_what_does_not_fit_28x28_images_is_refused_in_words(family, params, words):
    variant = Variant(family=family, params=params, seed=0)
    with pytest.raises(InfeasibleError) as refused:
        build_model(variant, task=Task.classification(input_shape=(28, 28, 1), num_classes=10))
    assert words in str(refused.value)
    assert "28x28" in str(refused.value)
    assert "use " in str(refused.value)


@pytest.mark.parametrize(("family", "params"), JUST_FITTING)
def test_what_just_fits_28x28_images_is_built(family, params):
    model = build_model(
        Variant(family=family, params=params, seed=0), task=Task.classification(input_shape=(28, 28, 1), num_classes=10)
    )
    assert model(images_of((28, 28, 1)), training=False).shape == (3, 10)


def test_sequential_refuses_exactly_what_keras_cannot_build(monkeypatch, sampled_variant):
    from trainables.families import sequential

    def outcome(variant, shape):
        try:
            build_model(variant, task=Task.classification(input_shape=shape, num_classes=2))
        except InfeasibleError:
            return "refused"
        except ValueError:
            return "impossible"
        return "built"

    sample = [
        sampled_variant("sequential", number, padding="valid", kernel_size=1 + number % 9) for number in range(60)
    ]
    checked = [outcome(*item) for item in sample]
    monkeypatch.setattr(sequential, "check_size", lambda *_, **__: None)
    unchecked = [outcome(*item) for item in sample]
    assert {"refused", "built"} == set(checked)
    assert [word == "refused" for word in checked] == [word == "impossible" for word in unchecked]
