"""The family transfer: its table of backbones against Keras's own, its weights, and what it refuses."""

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Variant
from trainables.catalog.backbones import BACKBONES, Preprocessing
from trainables.catalog.families import FAMILIES
from trainables.errors import DataError, InfeasibleError
from trainables.families.building import build_model
from trainables.files.weights_file import weights_sha256
from trainables.specs.task import Task

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"backbone": "MobileNet", "alpha": 0.1, "image_side": 32}


def built(params, *, shape=(8, 8, 1), study_dir=""):
    task = Task.classification(input_shape=shape, num_classes=10)
    return build_model(Variant(family="transfer", params=params, seed=3), task=task, study_dir=str(study_dir))


def test_the_table_has_every_backbone_of_keras():
    import keras

    offered = {name for name, made in vars(keras.applications).items() if inspect.isfunction(made)}
    assert set(BACKBONES) == offered


@pytest.mark.parametrize("name", BACKBONES)
def test_the_table_says_of_a_backbone_what_keras_does(name):
    import keras

    backbone, make = BACKBONES[name], getattr(keras.applications, name)
    arguments = inspect.signature(make).parameters
    assert backbone.has_alpha == ("alpha" in arguments)
    assert ("include_preprocessing" in arguments) == (backbone.preprocessing is Preprocessing.WITHIN)
    # It is refused before anything is built.
    side = backbone.smallest_side - 1
    with pytest.raises(ValueError, match=r"at least|\b32\b"):
        make(include_top=False, weights=None, input_shape=(side, side, 3))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_pixels_become_what_the_backbones_own_module_makes_of_them(name, channels):
    import keras

    from trainables.families.transfer import preprocessed

    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, channels)).astype(np.float32)
    if channels == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    params = FAMILIES["transfer"].with_defaults({"backbone": name})
    from trainables.specs.pixels import pixel_scaling

    scaling = pixel_scaling(params["normalization"])
    expected = getattr(keras.applications, BACKBONES[name].module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(preprocessed(pixels, params, scaling=scaling), expected, atol=1e-4)


def test_a_model_with_reversed_channels_loads_in_plain_keras_and_runs_in_inference_unless_told_to_train(tmp_path):
    import keras

    model = built({"backbone": "VGG16", "image_side": 32})
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), model(images, training=False))


def test_a_resized_model_called_without_training_runs_in_inference():
    model = built(TINY)
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.float32)
    for _ in range(3):
        model(images, training=True)
    before = model.get_weights()
    np.testing.assert_array_equal(model(images), model(images, training=False))
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_the_head_and_the_momentum_are_as_asked_for():
    import keras

    from trainables.families.transfer import backbone_of

    model = built(TINY | {"dense_units": 7, "dropout": 0.25, "head": "global_max", "batch_norm_momentum": 0.8})
    names = [type(layer).__name__ for layer in model.layers][-4:]
    assert names == ["GlobalMaxPooling2D", "Dense", "Dropout", "Dense"]
    momenta = {
        layer.momentum for layer in backbone_of(model).layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {0.8}


REFUSED = [
    (
        {"backbone": "MobileNetV2"},
        (8, 8, 1),
        "backbone MobileNetV2 takes images of at least 32x32 pixels, but images are 8x8 and image_side is 0; "
        "use image_side: 32 or more",
    ),
    (
        {"backbone": "InceptionV3", "image_side": 74},
        (100, 100, 3),
        "backbone InceptionV3 takes images of at least 75x75 pixels, but image_side is 74; use image_side: 75 or more",
    ),
    (
        {"backbone": "ResNet50", "alpha": 0.5},
        (32, 32, 3),
        "backbone ResNet50 has one width only, got alpha 0.5; use alpha 1, or one of MobileNet, MobileNetV2, "
        "MobileNetV3Small, MobileNetV3Large",
    ),
    (
        {"backbone": "MobileNet", "alpha": 0.3, "weights": "imagenet"},
        (32, 32, 3),
        "ImageNet weights of MobileNet exist for alpha 0.25, 0.5, 0.75, 1, got 0.3; use one of these, "
        "or weights 'none'",
    ),
    (
        {"backbone": "EfficientNetB0", "normalization": "scale"},
        (32, 32, 3),
        "backbone EfficientNetB0 scales pixels in layers of its own, got normalization 'scale' before them; "
        "use normalization 'backbone'",
    ),
    (
        {"backbone": "VGG16"},
        (32, 32, 4),
        "backbone VGG16 takes grey or RGB images, got 4 channels; use data.channels 3, or another family",
    ),
]


@pytest.mark.parametrize(("params", "shape", "words"), REFUSED)
def test_what_a_backbone_cannot_do_is_refused_in_words(params, shape, words):
    with pytest.raises(InfeasibleError) as refused:
        built(params, shape=shape)
    assert str(refused.value) == words


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, training_of, variant_of):
    """A folder with the weights of a backbone that learned digits a little, and those weights."""
    from trainables.families.transfer import backbone_of

    folder = tmp_path_factory.mktemp("pretrained")
    training = training_of(variant_of("transfer"), max_epochs=1)
    training.run_epoch()
    backbone = backbone_of(training.model)
    backbone.save_weights(folder / "mine.weights.h5")
    return folder, backbone.get_weights()


def test_a_backbone_begins_with_the_weights_of_a_file_beside_the_study(pretrained, training_of, variant_of):
    from trainables.families.transfer import backbone_of

    folder, weights = pretrained
    variant = variant_of("transfer", weights="mine.weights.h5", frozen_epochs=1, seed=11)
    training = training_of(variant, max_epochs=1, study_dir=str(folder))
    training.run_epoch()
    loaded = backbone_of(training.model).get_weights()
    assert all(np.array_equal(left, right) for left, right in zip(weights, loaded, strict=True))


def test_kerass_own_kind_of_file_is_read_as_well(pretrained, tmp_path):
    from trainables.families.transfer import backbone_of

    folder, weights = pretrained
    backbone = backbone_of(built(TINY | {"weights": "mine.weights.h5"}, study_dir=folder))
    # As keras.applications has them: the older layout of h5, by layer.
    backbone.save(tmp_path / "mobilenet_notop.h5")
    loaded = backbone_of(built(TINY | {"weights": str(tmp_path / "mobilenet_notop.h5")})).get_weights()
    assert all(np.array_equal(left, right) for left, right in zip(weights, loaded, strict=True))


@pytest.mark.parametrize(
    ("params", "name"),
    [(TINY | {"alpha": 0.25}, "MobileNet with alpha 0.25"), ({"backbone": "VGG16", "image_side": 32}, "VGG16")],
)
def test_a_file_of_another_backbone_is_refused_with_how_to_make_one(params, name, pretrained):
    folder, _ = pretrained
    with pytest.raises(InfeasibleError) as refused:
        built(params | {"weights": "mine.weights.h5"}, study_dir=folder)
    text = str(refused.value)
    assert text.startswith(f"weights: {folder}/mine.weights.h5 does not fit backbone {name} without its top, of ")
    assert text.endswith(
        'use a file that `backbone.save_weights("name.weights.h5")` wrote for this backbone, '
        "or one of Keras's own *_notop.h5"
    )


@pytest.mark.parametrize("name", ["junk.weights.h5", "junk.h5"])
def test_a_file_that_is_no_h5_is_refused_in_words(name, tmp_path):
    Path(tmp_path / name).write_text("junk")
    with pytest.raises(
        InfeasibleError, match=f"{name} does not fit backbone MobileNet with alpha 0.1 .*file signature"
    ):
        built(TINY | {"weights": name}, study_dir=tmp_path)


def test_a_file_that_went_missing_or_changed_is_the_datas_fault_not_the_variants(pretrained, tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone.weights.h5 \(No such file or directory\); put the file"):
        built(TINY | {"weights": "gone.weights.h5"}, study_dir=tmp_path)
    folder, _ = pretrained
    shutil.copy(folder / "mine.weights.h5", tmp_path / "other.weights.h5")
    known = {"weights": "other.weights.h5", "weights_sha256": (weights_sha256(tmp_path / "other.weights.h5"),)}
    built(TINY | known, study_dir=tmp_path)
    with (tmp_path / "other.weights.h5").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"was changed since the study was loaded .* restore the file, or run"):
        built(TINY | known, study_dir=tmp_path)
