"""What a model of a user's was compiled with, used where the study says so; and its own way of being compiled."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from trainables.catalog.training import MODEL
from trainables.errors import UserCodeError
from trainables.families.parts.keras_internals import compiled_with
from trainables.specs.task import Task


class ModelLosses:
    """The loss that a model was compiled with: Keras computes it as in `fit`, and knows one label an image."""

    def of_batches(self) -> list[str]:
        """Returns no target: Keras computes the loss of the weighted images as in `fit`."""
        return []

    @contextmanager
    def without_smoothing(self) -> Iterator[None]:
        """Changes nothing: a loss of the model's own has no label smoothing of the study's."""
        yield

    @contextmanager
    def second_labels(self, others: Mapping[str, Any] | None, weights: Any) -> Iterator[None]:
        """Changes nothing; raises UserCodeError where images are mixed."""
        if others is not None:
            raise UserCodeError(
                "loss: model: data.augment mixes images (mixup, cutmix), whose two labels a loss of the model's own "
                "does not know; drop them, or use a loss of data.targets"
            )
        yield

    @contextmanager
    def class_weights(self, weights: Mapping[str, Any]) -> Iterator[None]:
        """Changes nothing: Keras gives a model's own loss the weights of images; a study with others is refused."""
        yield


def own_optimizer(model: keras.Model) -> Any:
    """Returns the optimizer that a model comes compiled with.

    Raises:
        UserCodeError: It comes without one.
    """
    return _wanted(model, "optimizer")


def own_loss_and_metrics(model: keras.Model, *, task: Task, metrics: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Returns the arguments of Keras's compile for a model's own loss and metrics, with the study's metrics.

    Args:
        task: Its task.
        metrics: The study's metrics by target; one of the model's of the same name takes its place.

    Raises:
        UserCodeError: The model comes without a loss and computes none itself, or its metrics cannot be told apart by
            target.
    """
    given = compiled_with(model) or {}
    loss = given.get("loss") if model.compiled and _computes_loss(model) else _wanted(model, "loss")
    own = given.get("metrics")
    arguments: dict[str, Any] = {"loss": loss, "weighted_metrics": given.get("weighted_metrics")}
    if task.has_one_target:
        return arguments | {"metrics": _together(next(iter(metrics.values())), own)}
    if own is not None and not isinstance(own, Mapping):
        names = ", ".join(metrics)
        raise UserCodeError(f"loss: model: expected metrics as a dictionary of {names} in compile(), got {own!r}")
    together = {name: _together(some, (own or {}).get(name)) for name, some in metrics.items()}
    return arguments | {"metrics": together, "loss_weights": given.get("loss_weights")}


def compile_by_its_class(model: keras.Model, arguments: Mapping[str, Any]) -> None:
    """Compiles a model in place, by the `compile` of its own class where that takes Keras's arguments.

    A model whose class takes others was compiled by its author's function, and keeps what that gave it.

    Raises:
        UserCodeError: The class takes other arguments, and the function did not compile the model.
    """
    own: Any = type(model).compile
    if own is keras.Model.compile or _takes(own, model, arguments):
        model.compile(**arguments)
        return
    if not model.compiled:
        raise UserCodeError(
            f"{type(model).__name__}.compile takes arguments of its own, {inspect.signature(own)}; call it in your "
            "function, with its super().compile(optimizer=...) in it, and return the compiled model"
        )
    base: Any = keras.Model
    base.compile(model, **arguments)


def unused_of(model: keras.Model, params: Mapping[str, Any]) -> str:
    """Returns what of a model's compile() the study replaces, as a sentence; an empty text where nothing is.

    Args:
        params: The variant's complete parameters.
    """
    given = compiled_with(model)
    if given is None:
        return ""
    unused, ways = [], []
    if params["optimizer"] != MODEL and given.get("optimizer") is not None:
        unused.append(f"optimizer ({_name(given['optimizer'])})")
        ways.append("optimizer: model")
    if params["loss"] != MODEL:
        unused += [f"{name} ({_name(given[name])})" for name in ("loss", "metrics") if given.get(name) is not None]
        if given.get("loss") is not None or (given.get("metrics") is not None and _computes_loss(model)):
            ways.append("loss: model")
    if not unused:
        return ""
    others = "set optimizer and learning_rate in space.params, loss and metrics in data.targets"
    use = f"write {' and '.join(ways)} in space.params to use them, or {others}" if ways else others
    return f"the model is compiled already: its {', '.join(unused)} are not used, the study's are; {use}"


def _computes_loss(model: keras.Model) -> bool:
    """Returns whether a model's class has a loss of its own, in `compute_loss` or in its steps."""
    kind: Any = type(model)
    return kind.compute_loss is not keras.Model.compute_loss or kind.train_step is not keras.Model.train_step


def _wanted(model: keras.Model, what: str) -> Any:
    given = compiled_with(model) or {}
    if given.get(what) is None:
        raise UserCodeError(
            f"{what}: {MODEL} needs a model that comes compiled with it, got one without; call model.compile({what}="
            f"...) in your function, or name another {what}"
        )
    return given[what]


def _takes(compile_of_class: Any, model: keras.Model, arguments: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(compile_of_class).bind(model, **arguments)
    except TypeError:
        return False
    return True


def _together(ours: Sequence[Any], own: Any) -> list[Any]:
    given = [] if own is None else list(own) if isinstance(own, list | tuple) else [own]
    names = {getattr(metric, "name", None) for metric in given}
    kept = [metric for metric in ours if metric.name not in names]
    # Keras's text for a metric is its name in reports, which the study's own has as well.
    taken = {metric.name for metric in kept}
    return [*kept, *(metric for metric in given if not (isinstance(metric, str) and metric in taken))]


def _name(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_name, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_name(item)}" for name, item in value.items())
    named = getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__
    return str(value if isinstance(value, str) else named)
