"""Networks of one structure have one graph, whatever their widths and seeds: graphs are compared word for word."""

import keras
import pytest

from search_spaces import Variant
from tests.helpers.graphs import definition_of
from trainables.catalog.families import FAMILIES
from trainables.catalog.training import OPTIMIZERS
from trainables.errors import InfeasibleError
from trainables.graphs.structure import structure_of
from trainables.specs.data import AugmentSpec
from trainables.training.cost import plain_calls, prediction_of

pytestmark = pytest.mark.usefixtures("one_thread")

#: With parameters that would keep nearly all of them from having a structure.
SAMPLED = {
    "sequential": {"l2": 0.0, "spatial_dropout": 0.0},
    "residual": {"squeeze_excite": 0, "preset": "none"},
    "functional": {},
    "multitask": {},
}
#: The sampled variants of each family whose structures are compared; their graphs only where those are one.
NUMBERS = range(24)
WIDER = {"filters": 3, "dense_units": 5, "head_units": 2}


def structure(training):
    return structure_of(training.model, FAMILIES[training.variant.family].with_defaults(training.variant.params))


def wider(variant):
    """Returns a variant of other widths, another seed and other dynamic parameters; nothing is more or less than 0."""
    params = dict(variant.params)
    for name, more in WIDER.items():
        if value := params.get(name):
            params[name] = tuple(one + more for one in value) if isinstance(value, tuple) else value + more
    for name in ("learning_rate", "weight_decay", "dropout"):
        if params.get(name):
            params[name] *= 0.9
    return Variant(family=variant.family, params=params, seed=variant.seed + 1)


def graphs(training, samples_of):
    training.trace()
    task = samples_of(training.variant.family)[1]
    functions = training._compiled._train_epoch, training._compiled._validate_all
    return [definition_of(function) for function in (*functions, prediction_of(training.model, task=task).run)]


@pytest.fixture
def same_graphs(samples_of):
    """Asserts that two trainings have the same graphs, of other weights."""

    def check(one, other):
        shapes = [[tuple(weight.shape) for weight in training.model.weights] for training in (one, other)]
        assert shapes[0] != shapes[1]
        for mine, theirs in zip(*(graphs(training, samples_of) for training in (one, other)), strict=True):
            lines = mine.splitlines(), theirs.splitlines()
            assert not [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]]

    return check


@pytest.mark.parametrize("family", SAMPLED)
def test_sampled_variants_of_one_structure_have_one_graph(family, training_of, sampled_variant, same_graphs):
    compared = 0
    for number in NUMBERS:
        variant, _ = sampled_variant(family, number, batch_size=32, **SAMPLED[family])
        try:
            one, other = training_of(variant, max_epochs=2), training_of(wider(variant), max_epochs=2)
        except InfeasibleError:
            continue
        if structure(one) is None or structure(one) != structure(other):
            continue
        same_graphs(one, other)
        compared += 1
        if compared == 4:
            break
    assert compared == 4


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_leaves_widths_out(optimizer, training_of, variant_of, same_graphs):
    around = {"optimizer": optimizer, "weight_decay": 0.01, "momentum": 0.5}
    one = training_of(variant_of(**around), max_epochs=2)
    other = training_of(variant_of(**around, filters=7, seed=3), max_epochs=2)
    assert structure(one) == structure(other) is not None
    same_graphs(one, other)


@pytest.mark.parametrize(
    "params",
    [
        {"precision": "mixed_bfloat16"},
        {"clip_norm": 1.0},
        {"clip_value": 0.1},
        {"ema_momentum": 0.9},
        {"schedule": "cosine", "warmup_epochs": 1.0},
        {"schedule": "one_cycle"},
        {"loss": "mean_squared_error"},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"normalization": "symmetric"},
        {"augment_strength": 0.5},
        {"batch_norm": False, "dense_units": 4},
    ],
    ids=str,
)
def test_every_way_of_training_leaves_widths_out(params, training_of, variant_of, same_graphs):
    one = training_of(variant_of(**params), max_epochs=2)
    other = training_of(wider(variant_of(**params)), max_epochs=2)
    assert structure(one) == structure(other) is not None
    same_graphs(one, other)


@pytest.mark.parametrize(
    "changed",
    [
        {"num_blocks": 1},
        {"kernel_size": 5},
        {"activation": "elu"},
        {"batch_norm": False},
        {"dropout": 0.0},
        {"spatial_dropout": 0.1},
        {"pooling": "average"},
        {"head": "global_max"},
        {"dense_units": 4},
        {"l2": 0.1},
        {"stride": 2},
        {"padding": "valid", "pooling": "none"},
        {"batch_size": 31},
        {"optimizer": "sgd"},
        {"schedule": "cosine"},
        {"weight_decay": 0.1},
        {"normalization": "symmetric"},
        {"precision": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_what_is_in_the_graph_is_in_the_structure(changed, training_of, variant_of):
    one, other = (structure(training_of(variant_of(**params), max_epochs=2)) for params in ({}, changed))
    assert one is not None
    assert one != other


@pytest.mark.parametrize("missing", ["scale", "center"])
def test_batch_normalisation_without_all_of_its_weights_has_no_structure(missing):
    params = FAMILIES["sequential"].with_defaults({})
    models = [
        keras.Sequential([keras.Input((8, 8, 1)), keras.layers.BatchNormalization(**settings), keras.layers.Flatten()])
        for settings in ({}, {missing: False})
    ]
    assert [structure_of(model, params) is None for model in models] == [False, True]


@pytest.mark.parametrize("family", ["custom", "subclassed", "unet", "keras_tuner"])
def test_what_is_not_known_has_no_structure(family, training_of, variant_of):
    assert structure(training_of(variant_of(family), max_epochs=2)) is None


@pytest.mark.parametrize(
    "params",
    [
        {"precision": "mixed_float16"},
        {"gradient_accumulation": 2},
        {"l2": 0.01},
        {"spatial_dropout": 0.1},
        {"separable": True},
    ],
    ids=str,
)
def test_what_puts_widths_into_the_graph_has_no_structure(params, training_of, variant_of):
    assert structure(training_of(variant_of(**params), max_epochs=2)) is None


def test_images_that_a_model_shrinks_itself_have_no_structure(training_of, variant_of):
    assert structure(training_of(variant_of(image_size=6), max_epochs=2)) is None


@pytest.mark.parametrize("family", ["sequential", "residual", "functional"])
def test_the_calls_that_a_model_has_are_those_that_a_trace_sees(family, training_of, sampled_variant, samples_of):
    compared = 0
    task = samples_of(family)[1]
    for number in NUMBERS:
        variant, _ = sampled_variant(family, number, **SAMPLED[family])
        try:
            training = training_of(variant)
        except InfeasibleError:
            continue
        if structure(training) is None:
            continue

        def told(calls):
            return sorted((call.layer.name, call.num_inputs, call.num_outputs) for call in calls)

        assert told(plain_calls(training.model)) == told(prediction_of(training.model, task=task).calls)
        compared += 1
    assert compared > 8


def test_an_augmented_training_has_its_seed_in_its_graph(training_of, variant_of):
    varied = AugmentSpec(flip="horizontal", crop_padding=1)
    drawn = [training_of(variant_of(seed=seed), augment=varied)._data.augmenter.drawn_with for seed in (1, 2)]
    assert drawn == [1, 2]
    assert training_of(variant_of(seed=1))._data.augmenter.drawn_with is None
    assert training_of(variant_of(seed=1, augment_strength=0.0), augment=varied)._data.augmenter.drawn_with is None
