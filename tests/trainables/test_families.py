"""The contract of every model family."""

import numpy as np
import pytest

from search_spaces import Variant
from trainables.errors import InfeasibleError
from trainables.families import FAMILIES, build_model
from trainables.families.training_parameters import TRAINING

#: Keeps sampled variants small; the parameters' own ranges reach far beyond any test machine.
CEILINGS = {
    "num_blocks": 3,
    "num_stages": 4,
    "blocks_per_stage": 2,
    "filters": 8,
    "filters_growth": 2.0,
    "dense_units": 20,
    "stride": 3,
}
SHAPES = ((8, 8, 1), (9, 12, 3), (28, 28, 1))
NUM_SAMPLES = 40

pytestmark = pytest.mark.usefixtures("one_thread")


def sampled(info, name, *, generator):
    if info.options:
        return info.options[generator.integers(len(info.options))]
    if info.kind is bool:
        return bool(generator.integers(2))
    highest = next(bound for bound in (CEILINGS.get(name), info.high, info.below) if bound is not None)
    if info.kind is int:
        return int(generator.integers(info.low, highest, endpoint=True))
    return float(generator.uniform(info.low, highest))


def sampled_variant(family, number, **fixed):
    generator = np.random.default_rng([number, len(family)])
    params = {name: sampled(info, name, generator=generator) for name, info in FAMILIES[family].parameters.items()}
    return Variant(family=family, params=params | fixed, seed=number), SHAPES[generator.integers(len(SHAPES))]


def feasible(family, number):
    # Same padding and one stage fit every image.
    fixed = {"padding": "same"} if family == "sequential" else {"num_stages": 1 + number % 4}
    return sampled_variant(family, number, **fixed)


def images_of(shape, *, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("number", range(NUM_SAMPLES))
@pytest.mark.parametrize("family", FAMILIES)
def test_any_variant_turns_images_into_probabilities_of_the_classes(family, number):
    variant, shape = feasible(family, number)
    num_classes = 2 + number % 9
    model = build_model(variant, input_shape=shape, num_classes=num_classes)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, num_classes)
    probabilities = model(images_of(shape), training=False).numpy()
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_sees_its_image(family):
    model = build_model(Variant(family=family, params={}, seed=1), input_shape=(8, 8, 1), num_classes=5)
    black, white = np.zeros((1, 8, 8, 1), np.float32), np.full((1, 8, 8, 1), 255, np.float32)
    scaled = model.get_layer("scale")(white).numpy()
    assert scaled.max() == pytest.approx(1.0)
    assert not np.allclose(model(black, training=False), model(white, training=False))


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_predicts_what_it_predicted_before(family, number, tmp_path):
    import keras

    variant, shape = feasible(family, 100 + number)
    model = build_model(variant, input_shape=shape, num_classes=4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = images_of(shape)
    np.testing.assert_array_equal(model(images, training=False), loaded(images, training=False))


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
]


@pytest.mark.parametrize(("family", "params", "shape", "num_classes", "expected"), COUNTS)
def test_parameters_are_as_many_as_counted_by_hand(family, params, shape, num_classes, expected):
    model = build_model(Variant(family=family, params=params, seed=0), input_shape=shape, num_classes=num_classes)
    assert model.count_params() == expected


def test_resnet_20_has_its_published_number_of_trainable_parameters():
    # He et al. 2015, table 6: 0.27 million; 272,474 with projection shortcuts.
    params = {"num_stages": 3, "blocks_per_stage": 3, "filters": 16}
    model = build_model(Variant(family="residual", params=params, seed=0), input_shape=(32, 32, 3), num_classes=10)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 272_474


def test_each_residual_stage_but_the_first_halves_the_image_and_grows_its_filters():
    params = {"num_stages": 3, "blocks_per_stage": 2, "filters": 4, "filters_growth": 1.5}
    model = build_model(Variant(family="residual", params=params, seed=0), input_shape=(28, 20, 1), num_classes=2)
    sums = [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "Add"]
    assert sums == [(28, 20, 4)] * 2 + [(14, 10, 6)] * 2 + [(7, 5, 9)] * 2


INFEASIBLE = [
    ("sequential", {"num_blocks": 5, "padding": "valid"}, "the 3x3 convolution of block 4 needs at least 3x3 pixels"),
    ("sequential", {"num_blocks": 3, "padding": "valid", "kernel_size": 15, "pooling": "none"}, "of block 2 needs"),
    ("sequential", {"num_blocks": 2, "padding": "valid", "kernel_size": 1, "stride": 8}, "the pooling of block 2"),
    ("residual", {"num_stages": 6}, "6 stages halve the image 5 times"),
    ("residual", {"num_stages": 8}, "use at most 5 stages"),
]

JUST_FITTING = [
    ("sequential", {"num_blocks": 1, "padding": "valid", "kernel_size": 15, "stride": 8}),
    ("sequential", {"num_blocks": 2, "padding": "valid", "kernel_size": 14, "pooling": "none"}),
    ("residual", {"num_stages": 5}),
]


@pytest.mark.parametrize(("family", "params", "words"), INFEASIBLE)
def test_what_does_not_fit_28x28_images_is_refused_in_words(family, params, words):
    variant = Variant(family=family, params=params, seed=0)
    with pytest.raises(InfeasibleError) as refused:
        build_model(variant, input_shape=(28, 28, 1), num_classes=10)
    assert words in str(refused.value)
    assert "28x28" in str(refused.value)
    assert "use " in str(refused.value)


@pytest.mark.parametrize(("family", "params"), JUST_FITTING)
def test_what_just_fits_28x28_images_is_built(family, params):
    model = build_model(Variant(family=family, params=params, seed=0), input_shape=(28, 28, 1), num_classes=10)
    assert model(images_of((28, 28, 1)), training=False).shape == (3, 10)


def test_sequential_refuses_exactly_what_keras_cannot_build(monkeypatch):
    from trainables.families import sequential

    def outcome(variant, shape):
        try:
            build_model(variant, input_shape=shape, num_classes=2)
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


@pytest.mark.parametrize(
    ("owner", "name", "info"),
    [
        (owner, name, info)
        for owner, parameters in [*((name, family.parameters) for name, family in FAMILIES.items()), ("all", TRAINING)]
        for name, info in parameters.items()
    ],
)
def test_every_default_is_allowed_and_every_parameter_explained(owner, name, info):
    assert info.complaint(info.default) == "", f"{owner}.{name}"
    assert info.summary.endswith(".")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_no_name_means_both_an_architecture_and_a_training_parameter(family):
    assert not family.parameters.keys() & TRAINING.keys()


COMPLAINTS = [
    ("filters", 0, "must be an int >= 1 and <= 4096, got 0"),
    ("filters", 5000, "must be an int >= 1 and <= 4096, got 5000"),
    ("filters", 8.0, "must be an int >= 1 and <= 4096, got 8.0"),
    ("filters", True, "must be an int >= 1 and <= 4096, got True"),
    ("dropout", 1.0, "must be a float >= 0 and < 1, got 1.0"),
    ("dropout", float("nan"), "must be a float >= 0 and < 1, got nan"),
    ("batch_norm", 1, "must be a bool, got 1"),
    ("padding", "full", "must be one of 'same', 'valid', got 'full'"),
]


@pytest.mark.parametrize(("name", "value", "words"), COMPLAINTS)
def test_a_value_that_is_not_allowed_is_complained_about(name, value, words):
    assert FAMILIES["sequential"].parameters[name].complaint(value) == words


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_whole_number_where_a_float_is_meant_becomes_that_float(family):
    params = family.with_defaults({"learning_rate": 1, "momentum": 0, "dropout": 0})
    assert [type(params[name]) for name in ("learning_rate", "momentum", "dropout")] == [float] * 3
    assert (params["learning_rate"], params["momentum"]) == (1.0, 0.0)
