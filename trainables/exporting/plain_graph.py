"""A model as a graph of Keras's own layers, so that a file of it loads where none of its classes are known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers

from trainables.families.parts.keras_internals import all_layers, inner_layers
from trainables.specs.task import Task


def plain_model(model: keras.Model, task: Task) -> keras.Model:
    """Returns the model itself if it is made of Keras's own layers only, else a graph of its sublayers.

    The graph shares the weights that predictions depend on: layers that act in training only, such as an auxiliary
    classifier, are left out. Each layer of another class that owns no weights itself is replaced by what its `call`
    does with Keras's layers and `keras.ops`. Where that is not possible, the layer, or the whole model, stays as it is:
    `foreign_parts` returns it.
    """
    if not _is_foreign(model):
        return model
    images = {name: keras.Input(task.input_shape, name=name) for name in task.inputs}
    inputs = images if len(images) > 1 else next(iter(images.values()))
    try:
        with _opened(model):
            outputs = model(inputs)
        return keras.Model(inputs, outputs, name=model.name)
    except Exception:  # noqa: BLE001 - a user's code for real tensors may raise anything when given symbolic ones
        return model


def foreign_parts(model: keras.Model) -> list[str]:
    """Returns the parts of a model that plain Keras cannot load, such as `my_nets.Gate`, sorted.

    These are layers, functions and other objects of a user's, and lambdas.
    """
    found = {
        f"{type(layer).__module__}.{type(layer).__qualname__}"
        for layer in all_layers(model)
        if not _is_keras(type(layer))
    }
    # Without what it was compiled with, which a file of it has none of.
    return sorted(found or _foreign_objects(model.get_config()))


def _is_foreign(layer: keras.Layer) -> bool:
    """Returns whether a layer or one inside it is of a class that is not Keras's."""
    return any(not _is_keras(type(inner)) for inner in all_layers(layer))


def _is_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "keras"


@contextmanager
def _opened(model: keras.Model) -> Iterator[None]:
    """Makes every call of a layer that holds foreign ones a call of what is inside it, for a while."""
    opened = {id(layer) for layer in all_layers(model) if _is_foreign(layer) and not _owns_variables(layer)}
    close = layers.Layer.__call__

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        return layer.call(*args, **kwargs) if id(layer) in opened else close(layer, *args, **kwargs)

    # On the class, because users' code calls its layers, and Python looks up __call__ on the class alone.
    layers.Layer.__call__ = call
    try:
        yield
    finally:
        layers.Layer.__call__ = close


def _owns_variables(layer: keras.Layer) -> bool:
    """Returns whether a layer has weights or random seeds that none of its sublayers has."""
    inside = {id(variable) for inner in inner_layers(layer) for variable in inner.variables}
    return any(id(variable) not in inside for variable in layer.variables)


def _foreign_objects(config: Any) -> set[str]:
    """Returns the names of the objects in a serialised model that are not Keras's."""
    if isinstance(config, list | tuple):
        return set().union(*map(_foreign_objects, config))
    if not isinstance(config, Mapping):
        return set()
    found = set().union(*map(_foreign_objects, config.values()))
    kind, module = config.get("class_name"), config.get("module")
    if kind == "__lambda__":
        return {*found, "a lambda"}
    if kind == "function" and "registered_name" in config:
        return {*found, f"the function {config.get('config')}"}
    if isinstance(kind, str) and "registered_name" in config and not _is_of_keras(str(module)):
        return {*found, f"{module}.{kind}" if module else str(config["registered_name"])}
    return found


def _is_of_keras(module: str) -> bool:
    return module.partition(".")[0] in ("keras", "builtins")
