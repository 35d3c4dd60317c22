"""Metrics of a user's as Keras's metric objects."""

import inspect
import re
from typing import Any

from keras import metrics

from trainables.errors import UserCodeError
from trainables.own_code.loading import guarded, load_own, made
from trainables.specs.worker import OwnCode

_TAKES = "(y_true, y_pred)"
_NAME = re.compile(r"[A-Za-z]\w*")
#: Names of other numbers and columns of reports.
_TAKEN = ("loss", "epoch", "trial", "at", "train_seconds", "images_per_second")
_PREFIXES = ("val_", "test_", "best_")


def own_metric(reference: str, own: OwnCode) -> metrics.Metric:
    """Returns a user's metric, by a name that is the same in every process.

    It is called with what Keras's `fit` calls it with: labels as `task.Target` has them. A function counts by its mean
    over images, as in Keras; its name is the metric's, and so is that of a class which gives its metric none.

    Args:
        reference: `module:name` of a class or an object of keras.metrics.Metric, or of a function (y_true, y_pred).
        own: Where the module lies.

    Raises:
        UserCodeError: It is something else, or its name is not fit for reports.
    """
    where = f"metric {reference!r}"
    found = load_own(reference, own, where=where)
    metric = made(found, own, where=where) if isinstance(found, type) else found
    if not isinstance(metric, metrics.Metric):
        if not inspect.isroutine(found):
            raise UserCodeError(
                f"{where}: expected a function of {_TAKES}, or a class or an object of keras.metrics.Metric, got "
                f"{found!r}; derive it from keras.metrics.Metric"
            )
        metric = metrics.MeanMetricWrapper(_calling(found, own, where=where), name=_snake_case(found.__name__))
    elif re.fullmatch(rf"{_snake_case(type(metric).__name__)}_\d+", metric.name):
        # Keras counts up the names that it gives, in the order in which a process happens to make them.
        metric.name = _snake_case(type(metric).__name__)
    if not _NAME.fullmatch(metric.name) or metric.name in _TAKEN or metric.name.startswith(_PREFIXES):
        raise UserCodeError(
            f"{where}: expected a name of letters, digits and '_' that is none of {', '.join(_TAKEN)} and does not "
            f"begin with {', '.join(_PREFIXES)}, got {metric.name!r}; give it another: name=..."
        )
    return metric


def _calling(function: Any, own: OwnCode, *, where: str) -> Any:
    def call(y_true: Any, y_pred: Any) -> Any:
        return guarded(lambda: function(y_true, y_pred), where=where, own=own, takes=_TAKES)

    return call


def _snake_case(name: str) -> str:
    """Returns a name as Keras makes it of a class's.

    >>> _snake_case("CohenKappa"), _snake_case("F1Score"), _snake_case("kappa")
    ('cohen_kappa', 'f1_score', 'kappa')
    """
    parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", parted).lower()
