"""Losses of a user's: as Keras's `fit` computes them, by image, with all that counts by image."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras.src.losses.losses import LossFunctionWrapper
from tensorflow.errors import InvalidArgumentError

from search_spaces import Variant
from trainables.errors import DataError, MicroBatchError, UserCodeError
from trainables.own_code.losses import OwnLoss
from trainables.specs.augment import AugmentSpec
from trainables.specs.worker import OwnCode, TrainingSpec
from trainables.training.training import Training, TrainingRequest
from trainables.user_code import in_words, user_error

IMPORTS = "import keras\nfrom keras import ops\n"
FOCAL = """
def focal(y_true, y_pred):
    chance = ops.take_along_axis(y_pred, ops.cast(y_true, "int32")[:, None], axis=-1)[:, 0]
    return -((1 - chance) ** 2) * ops.log(chance + 1e-7)

class Scaled(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return 3.0 * focal(y_true, y_pred)

class_object = Scaled()

def by_class(y_true, y_pred):
    return (ops.one_hot(ops.cast(y_true, "int32"), 10) - y_pred) ** 2

def whole(y_true, y_pred):
    return ops.mean(focal(y_true, y_pred))

def summed(y_true, y_pred):
    return ops.sum((ops.one_hot(ops.cast(y_true, "int32"), 10) - y_pred) ** 2, axis=0)

def nothing(y_true, y_pred):
    focal(y_true, y_pred)

def broken(y_true, y_pred):
    return undefined_name

class Summing(Scaled):
    def __init__(self):
        super().__init__(reduction="sum")

class Calling(Scaled):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return 0.0

class Plain:
    pass

def three(y_true, y_pred, alpha):
    return y_pred
"""


def test_a_loss_of_a_users_equals_keras_fit(own, module):
    run = own(FOCAL, loss="own:focal")
    for epoch in run.fitted(epochs=3, loss=module().focal):
        assert run.training.run_epoch().metrics == pytest.approx(epoch, abs=1e-5)


@pytest.mark.parametrize("name", ["focal", "Scaled", "class_object", "by_class", "whole"])
def test_the_mean_over_images_is_what_keras_makes_of_the_loss(tmp_path, module, name):
    (tmp_path / "own.py").write_text(IMPORTS + FOCAL, encoding="utf-8")
    labels, chances = np.arange(8, dtype=np.int32), np.random.default_rng(0).dirichlet(np.ones(10), 8)
    given = getattr(module(), name)
    loss = given() if isinstance(given, type) else given
    whole = loss if isinstance(loss, keras.losses.Loss) else LossFunctionWrapper(loss)
    by_image = OwnLoss(f"own:{name}", OwnCode(folder=str(tmp_path)))(labels, chances)
    assert by_image.shape == (8,)
    assert np.mean(by_image) == pytest.approx(float(whole(labels, chances)), abs=1e-6)
    if name not in ("by_class", "whole"):
        weights = np.linspace(0.0, 2.0, 8, dtype=np.float32)
        expected = float(whole(labels, chances, sample_weight=weights))
        assert np.mean(by_image * weights) == pytest.approx(expected, abs=1e-6)


def test_a_loss_of_a_users_counts_with_weights_of_classes_as_in_fit(own, module):
    run = own(FOCAL, class_weights="balanced", loss="own:focal")
    weights = np.asarray(run.training._data.class_weights["label"])
    for epoch in run.fitted(epochs=2, loss=module().focal, class_weights=weights):
        assert run.training.run_epoch().metrics == pytest.approx(epoch, abs=1e-5)


def test_a_searched_loss_takes_the_place_of_the_targets(own):
    named = own(FOCAL, loss="own:focal").training.run_epoch()
    assert own(FOCAL, **{"params": {"loss": "own:focal"}}).training.run_epoch().metrics == named.metrics
    assert own(FOCAL).training.run_epoch().metrics["loss"] != named.metrics["loss"]


CROSS_ENTROPY = """
def same(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
"""


@pytest.mark.parametrize(
    ("settings", "augment"),
    [
        ({}, AugmentSpec(mixup=0.4)),
        ({"class_weights": "balanced", "family": "subclassed", "num_blocks": 2}, AugmentSpec(cutmix=1.0)),
    ],
    ids=["mixup", "cutmix with weights"],
)
def test_a_users_copy_of_cross_entropy_trains_as_cross_entropy(own, settings, augment):
    mine, keras_own = (own(CROSS_ENTROPY, loss=loss, augment=augment, **settings) for loss in ("own:same", None))
    for _ in range(2):
        assert mine.training.run_epoch().metrics == pytest.approx(keras_own.training.run_epoch().metrics, abs=1e-5)


def test_batches_in_pieces_train_as_whole_ones(own):
    whole, pieces = own(FOCAL, loss="own:focal").training, own(FOCAL, loss="own:focal").training
    pieces.num_micro_batches = 3
    assert pieces.run_epoch().metrics == pytest.approx(whole.run_epoch().metrics, abs=1e-5)


NOT_FOR_BATCHES = "the loss of label returns one number for a whole batch"


def test_one_number_for_a_whole_batch_is_refused_where_images_count_by_themselves(own):
    for settings, reason in (
        ({"class_weights": "balanced"}, "images have weights"),
        ({"augment": AugmentSpec(mixup=0.4)}, "images are mixed"),
    ):
        run = own(FOCAL, loss="own:whole", **settings)
        with pytest.raises(UserCodeError, match=f"{NOT_FOR_BATCHES}, but {reason}"):
            run.training.run_epoch()
    run = own(FOCAL, loss="own:whole")
    run.training.num_micro_batches = 2
    with pytest.raises(MicroBatchError, match=NOT_FOR_BATCHES):
        run.training.run_epoch()


REFUSED = [
    ("summed", "loss 'own:summed': expected one number an image, (batch,), got another number of them"),
    ("nothing", "loss 'own:nothing': expected numbers, one an image, got nothing; return them"),
    ("Summing", "loss 'own:Summing': expected reduction='sum_over_batch_size', got 'sum'"),
    ("Calling", "loss 'own:Calling': has a __call__ of its own; write call(self, y_true, y_pred) instead"),
    ("Plain", "loss 'own:Plain': expected a function of (y_true, y_pred), or a class of keras.losses.Loss"),
    ("three", "loss 'own:three': must take (y_true, y_pred):"),
    ("missing", "has no function 'missing'"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED, ids=[name for name, _ in REFUSED])
def test_what_is_no_loss_by_image_is_refused(own, name, message):
    with pytest.raises(Exception, match=r"loss|function") as caught:
        own(FOCAL, loss=f"own:{name}").training.run_epoch()
    assert message in str(caught.value)


def test_as_many_numbers_as_a_batch_has_images_by_chance_are_found_in_the_next_batch(own):
    # Keras tries a loss on an example of two images.
    run = own("def two(y_true, y_pred):\n    return ops.sum(y_pred[:, :2], axis=0)\n", loss="own:two")
    with pytest.raises(UserCodeError, match="expected one number an image"):
        run.training.run_epoch()
    run = own(
        "import tensorflow as tf\ndef some(y_true, y_pred):\n    return y_pred[: tf.size(y_pred) // 11]\n",
        loss="own:some",
    )
    with pytest.raises(InvalidArgumentError) as caught:
        run.training.run_epoch()
    assert "loss own:some: expected one number an image, (batch,), got another" in in_words(caught.value)


def test_an_error_in_a_loss_names_file_and_line(own, tmp_path):
    with pytest.raises(NameError) as caught:
        own(FOCAL, loss="own:broken").training.trace()
    assert user_error(caught.value, folder=tmp_path).startswith("own.py:27: NameError: name 'undefined_name' is not")


def test_changed_code_is_refused_while_a_study_runs(own):
    with pytest.raises(DataError, match=r"loss 'own:focal': its code in .* was changed while the study runs"):
        own(FOCAL, loss="own:focal", spec={"code": "own=0123456789ab"})


KEEPING = """
level = keras.Variable(0.0)

def annealed(y_true, y_pred):
    level.assign_add(1.0)
    return level * keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
"""


def test_what_a_trial_left_in_a_module_does_not_reach_the_next(own):
    first, second = (own(KEEPING, loss="own:annealed").training.run_epoch() for _ in range(2))
    assert first.metrics == second.metrics
    assert first.metrics["loss"] > 4.0


def test_variables_of_a_loss_are_part_of_a_checkpoint(own):
    whole = own(KEEPING, loss="own:annealed").training
    reports = [whole.run_epoch() for _ in range(2)]
    state = whole.state()
    third = whole.run_epoch()
    resumed = own(KEEPING, loss="own:annealed").training
    resumed.load_state(state, history=reports)
    assert resumed.run_epoch().metrics == third.metrics


def test_each_of_several_targets_has_its_loss(splits, task, tmp_path):
    (target,) = task.targets
    both = replace(task, targets=(target, replace(target, name="again", loss="own:same")))
    (tmp_path / "own.py").write_text(f"import keras\n{CROSS_ENTROPY}", encoding="utf-8")
    train, validation = (
        replace(split, labels=dict.fromkeys(("label", "again"), split.labels["label"])) for split in splits
    )
    request = TrainingRequest(
        variant=Variant(family="multitask", params={"filters": 4, "batch_size": 32, "num_blocks": 1}, seed=7),
        train=train,
        validation=validation,
        task=both,
        spec=TrainingSpec(max_epochs=2, metric="val_loss", mode="min", study_dir=str(tmp_path)),
    )
    plain = replace(request, task=replace(both, targets=(target, replace(target, name="again"))))
    metrics = Training(request).run_epoch().metrics
    assert metrics == pytest.approx(Training(plain).run_epoch().metrics, abs=1e-5)
    assert metrics["loss"] == pytest.approx(metrics["label_loss"] + metrics["again_loss"], rel=1e-5)
