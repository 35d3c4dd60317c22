"""What the steps of a model measure: its metric objects that a step updates, and numbers that a step returns itself.

Keras's own steps update every metric object. A step of a user's may update none and return numbers of its own, which
Keras's `fit` reports as the last batch has them; an object that no step updates still answers with a number, often 0,
that nobody measured.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from trainables.errors import UserCodeError
from trainables.steps.metrics import metric_values, results_of
from trainables.steps.plain_steps import plain_step

#: What Keras's steps are made of.
_OF_STEPS = frozenset(("train_step", "test_step", "compute_loss", "_compute_loss", "compute_metrics"))


def is_of_keras(model: keras.Model) -> bool:
    """Returns whether a model's class, and so its steps, are Keras's own."""
    return _package(model) == "keras"


def has_steps_of_users(model: keras.Model) -> bool:
    """Returns whether a model's steps may be other than Keras's and this package's, which update every metric."""
    return _package(model) not in ("keras", __name__.partition(".")[0])


def reset_metrics(model: keras.Model) -> None:
    """Resets every metric object of a model, also those that a `metrics` property of its own leaves out."""
    model.reset_metrics()
    if has_steps_of_users(model):
        for metric in _metrics_of(model):
            metric.reset_state()


class StepNumbers:
    """The numbers of one kind of step of a compiled model, gathered while its epoch is traced.

    Args:
        model: Compiled.
        step: `train_step` or `test_step`.
    """

    def __init__(self, model: keras.Model, *, step: str) -> None:
        self._model, self.name = model, step
        self._is_plain = not has_steps_of_users(model)
        #: Metric objects that the step updates, by id.
        self._updated: set[int] = set()
        #: Numbers that no metric object has, as the last step returned them.
        self._returned: dict[str, tf.Variable] = {}

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that keep what the last step returned."""
        return list(self._returned.values())

    @property
    def returned(self) -> list[str]:
        """The names of the numbers that no metric object has."""
        return list(self._returned)

    def step(self, data: tuple[Any, ...]) -> None:
        """Takes one step; call it while a function is traced.

        Raises:
            UserCodeError: The step returns something else than numbers by name.
        """
        # A function of a user's may stand on a model in the place of Keras's.
        has_kerass_step = is_of_keras(self._model) and not _OF_STEPS.intersection(vars(self._model))
        if has_kerass_step and not tf.distribute.has_strategy():
            plain_step(self.name)(self._model, data)
            return
        take: Any = getattr(self._model, self.name)
        if self._is_plain:
            take(data)
            return
        with self._noted():
            logs = take(data)
        self._keep(logs)

    def values(self) -> dict[str, Any]:
        """Returns what was measured, by its name in reports; call it where `step` was called, after the last one."""
        if self._is_plain:
            return metric_values(self._model)
        measured = results_of(metric for metric in _metrics_of(self._model) if id(metric) in self._updated)
        return {**{name: tf.identity(variable) for name, variable in self._returned.items()}, **measured}

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Notes, while a step is traced, which metric objects it changes."""
        known = {id(metric): [id(variable) for variable in metric.variables] for metric in _metrics_of(self._model)}
        changed: set[int] = set()
        variables = [variable for metric in _metrics_of(self._model) for variable in metric.variables]
        for variable in variables:
            # Past Keras's class, for this variable alone, and undone below.
            vars(variable)["assign"] = _noting(variable, changed)
        try:
            yield
        finally:
            for variable in variables:
                vars(variable).pop("assign", None)
        for metric in _metrics_of(self._model):
            ids = [id(variable) for variable in metric.variables]
            # One without variables that Keras knows of, or whose variables the step made, is in use.
            if id(metric) in known and ids and known[id(metric)] == ids and not changed.intersection(ids):
                continue
            self._updated.add(id(metric))

    def _keep(self, logs: Any) -> None:
        """Keeps the numbers of a step that no updated metric object has."""
        if not isinstance(logs, Mapping):
            raise UserCodeError(
                f"{type(self._model).__name__}.{self.name}: expected it to return a dictionary of numbers, as Keras "
                f"does, got {'nothing' if logs is None else f'a {type(logs).__name__}'}; end it with "
                "return {'loss': loss}"
            )
        measured = results_of(metric for metric in _metrics_of(self._model) if id(metric) in self._updated)
        for name, value in _flat(logs):
            if name not in measured:
                self._keep_one(name, value)

    def _keep_one(self, name: str, value: Any) -> None:
        number = tf.convert_to_tensor(value) if _is_numeric(value) else None
        if number is None or number.shape.rank != 0:
            what = type(value).__name__ if number is None else f"shape {tuple(number.shape)}"
            raise UserCodeError(
                f"{type(self._model).__name__}.{self.name}: expected one number as {name!r}, got {what}; return its "
                "mean, keras.ops.mean(...)"
            )
        if name not in self._returned:
            with tf.init_scope():
                self._returned[name] = tf.Variable(float("nan"), trainable=False, name=f"returned_{name}")
        self._returned[name].assign(tf.cast(number, tf.float32))


def _noting(variable: Any, changed: set[int]) -> Any:
    assign = variable.assign

    @tf.autograph.experimental.do_not_convert
    def noted(value: Any) -> Any:
        changed.add(id(variable))
        return assign(value)

    return noted


def _metrics_of(model: keras.Model) -> list[Any]:
    """Returns every metric object of a model once: those that Keras keeps, and those of a `metrics` property."""
    of_keras: Any = keras.Model.metrics
    found = {id(metric): metric for metric in (*of_keras.fget(model), *model.metrics)}
    return list(found.values())


def _package(model: keras.Model) -> str:
    return type(model).__module__.partition(".")[0]


def _flat(logs: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yields names and numbers, also those of dictionaries inside, as Keras reports them."""
    for name, value in logs.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(name), value


def _is_numeric(value: Any) -> bool:
    try:
        return tf.convert_to_tensor(value).dtype.is_floating or tf.convert_to_tensor(value).dtype.is_integer
    except (TypeError, ValueError):
        return False
