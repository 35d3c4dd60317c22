"""Metrics of a user's: as Keras's `fit` computes them, by names that are the same in every process."""

import pytest

from trainables.errors import UserCodeError
from trainables.own_code.metrics import own_metric
from trainables.specs.worker import OwnCode

METRICS = """
class Kappa(keras.metrics.Metric):
    def __init__(self, num_classes=10, name=None):
        super().__init__(name=name)
        self.table = self.add_weight(shape=(num_classes, num_classes), initializer="zeros")
        self.num_classes = num_classes

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth = ops.one_hot(ops.cast(y_true, "int32"), self.num_classes)
        guess = ops.one_hot(ops.argmax(y_pred, axis=-1), self.num_classes)
        self.table.assign_add(ops.matmul(ops.transpose(truth), guess))

    def result(self):
        total = ops.sum(self.table)
        chance = ops.sum(ops.sum(self.table, axis=0) * ops.sum(self.table, axis=1)) / total**2
        return (ops.trace(self.table) / total - chance) / (1 - chance)

weighted = Kappa(10, name="weighted_kappa")

def sureness(y_true, y_pred):
    return ops.max(y_pred, axis=-1)

def two_ways(y_true, y_pred):
    return y_pred ** 2

def broken(y_true, y_pred):
    return ops.unknown(y_pred)

def three(y_true, y_pred, more):
    return y_pred

def loss(y_true, y_pred):
    return ops.max(y_pred, axis=-1)

def accuracy(y_true, y_pred):
    return ops.max(y_pred, axis=-1)

class Validated(keras.metrics.Mean):
    def __init__(self):
        super().__init__(name="val_accuracy")

class Vector(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(ops.max(y_pred, axis=-1))

    def result(self):
        return ops.stack([super().result()] * 2)

class Plain:
    pass

number = 3
"""
NAMES = ["accuracy", "own:Kappa", "own:weighted", "own:sureness", "own:two_ways"]


def test_metrics_of_a_users_equal_keras_fit(own, module):
    run = own(METRICS, metrics=NAMES, spec={"metric": "val_kappa", "mode": "max"})
    code = module()
    metrics = [code.Kappa(name="kappa"), code.weighted, code.sureness, code.two_ways]
    for epoch in run.fitted(epochs=2, loss="sparse_categorical_crossentropy", metrics=metrics):
        report = run.training.run_epoch()
        assert {"val_kappa", "val_weighted_kappa", "val_sureness", "val_two_ways"} < report.metrics.keys()
        assert report.metrics == pytest.approx(epoch, abs=1e-5)


def test_a_metrics_name_is_the_same_however_often_it_was_made(tmp_path, one_thread):
    (tmp_path / "own.py").write_text(f"import keras\nfrom keras import ops\n{METRICS}", encoding="utf-8")
    # Keras calls the second object of a class kappa_1.
    metrics = [own_metric("own:Kappa", OwnCode(folder=str(tmp_path))) for _ in range(3)]
    assert [metric.name for metric in metrics] == ["kappa"] * 3


REFUSED = [
    (["own:three"], "metric 'own:three': must take (y_true, y_pred):"),
    (["own:loss"], "metric 'own:loss': expected a name of letters, digits and '_' that is none of loss, epoch, trial"),
    (["own:Validated"], "does not begin with val_, test_, best_, got 'val_accuracy'; give it another: name=..."),
    (["accuracy", "own:accuracy"], "reports have 'accuracy' of 'accuracy' already; give it another: name=..."),
    (["own:Plain"], "metric 'own:Plain': expected a function of (y_true, y_pred), or a class or an object of"),
    (["own:number"], "has no function 'number'"),
    (["own:Vector"], "metric val_mean: expected one number as its result, got shape (2,); return its mean"),
]


@pytest.mark.parametrize(("metrics", "message"), REFUSED, ids=[str(names[-1]) for names, _ in REFUSED])
def test_what_is_no_metric_is_refused(own, metrics, message):
    with pytest.raises(UserCodeError) as caught:
        own(METRICS, metrics=metrics).training.trace()
    assert message in str(caught.value)


def test_an_objective_that_no_metric_measures_is_refused(own):
    with pytest.raises(UserCodeError, match="does not measure the objective val_kapa: a report of it would have val_"):
        own(METRICS, metrics=["own:Kappa"], spec={"metric": "val_kapa", "mode": "max"}).training.trace()
