"""The optimizer and the loss that a variant's parameters name."""

import keras
import numpy as np
import pytest

from trainables.catalog.families import FAMILIES
from trainables.specs.task import Task
from trainables.steps.compiling import compile_model, make_optimizer
from trainables.steps.losses import TargetLoss
from trainables.steps.schedules import Horizon

pytestmark = pytest.mark.usefixtures("one_thread")

HORIZON = Horizon(steps_per_epoch=4, max_epochs=9)


def complete(**params):
    return FAMILIES["sequential"].with_defaults(params)


OPTIMIZERS = [
    ({"optimizer": "adam"}, keras.optimizers.Adam, {"weight_decay": None}),
    ({"optimizer": "adam", "weight_decay": 0.1}, keras.optimizers.Adam, {"weight_decay": 0.1}),
    ({"optimizer": "adamw", "weight_decay": 0.1}, keras.optimizers.AdamW, {"weight_decay": 0.1}),
    ({"optimizer": "adamw"}, keras.optimizers.AdamW, {"weight_decay": 0.0}),
    ({"optimizer": "sgd", "momentum": 0.8}, keras.optimizers.SGD, {"momentum": 0.8, "nesterov": True}),
    ({"optimizer": "sgd", "momentum": 0}, keras.optimizers.SGD, {"momentum": 0.0, "nesterov": False}),
    ({"optimizer": "sgd", "weight_decay": 0.1}, keras.optimizers.SGD, {"weight_decay": 0.1}),
    ({"optimizer": "rmsprop", "weight_decay": 1}, keras.optimizers.RMSprop, {"weight_decay": 1.0}),
]


@pytest.mark.parametrize(("params", "kind", "settings"), OPTIMIZERS)
@pytest.mark.parametrize("learning_rate", [0.03, 1])
def test_the_optimizer_is_the_one_asked_for(params, kind, settings, learning_rate):
    optimizer = make_optimizer(complete(learning_rate=learning_rate, **params), horizon=HORIZON)
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(learning_rate)
    config = optimizer.get_config()
    assert {name: config[name] for name in settings} == settings


def test_an_unknown_optimizer_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"optimizer must be one of adam, adamw, sgd, .*, lion, got 'sofia'"):
        make_optimizer(complete() | {"optimizer": "sofia"}, horizon=HORIZON)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_cross_entropy_with_smoothed_targets(smoothing):
    # Szegedy et al. 2015, arXiv:1512.00567, section 7: q(k) = (1 - e) [k = y] + e / K.
    task = Task.classification(input_shape=(1, 1, 1), num_classes=5)
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(5), size=11).astype(np.float32)
    labels = generator.integers(5, size=11).astype(np.int32)
    targets = (1 - smoothing) * np.eye(5)[labels] + smoothing / 5
    expected = -(targets * np.log(probabilities)).sum(axis=1).mean()

    model = keras.Sequential([keras.Input((5,))])
    compile_model(model, complete(label_smoothing=smoothing), task=task, horizon=HORIZON)
    metrics = model.evaluate(probabilities, labels, batch_size=4, verbose=0, return_dict=True)
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    loss = TargetLoss(task.targets[0], smoothing=smoothing)(labels, probabilities)
    assert float(np.mean(loss)) == pytest.approx(expected, rel=1e-5)
