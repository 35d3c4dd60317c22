"""The family `keras_tuner`: builds the model by the user's `build(hp)`, with a variant's values as hyperparameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import layers

from trainables.catalog.custom import SHARED
from trainables.errors import UserCodeError
from trainables.families.parts.blocks import scaled_input
from trainables.families.parts.build_files import BuildFiles
from trainables.families.parts.context import BuildContext
from trainables.families.parts.keras_internals import all_layers, compiled_with
from trainables.families.parts.model_checks import check_model
from trainables.hypermodels.asked import Asked
from trainables.hypermodels.finding import MISSING
from trainables.hypermodels.labels import for_class_numbers
from trainables.own_code.loading import guarded
from trainables.specs.pixels import AUTO, OWN
from trainables.specs.task import Task
from trainables.specs.worker import OwnCode
from trainables.user_code import importable

_SCALING_LAYERS = (layers.Rescaling, layers.Normalization)


def build(params: Mapping[str, Any], *, task: Task, context: BuildContext) -> keras.Model:
    """Returns the compiled model that the user's hypermodel builds.

    Args:
        params: `function`, `source` and `normalization`; of the others, those of SHARED.
        context: Its `own_parameters` are the hyperparameters' values; its `study_dir` is the folder of the module.

    Raises:
        UserCodeError: It returns anything but a compiled model of this task, or asks for a hyperparameter that the
            variant does not have.
        DataError: Its code has changed since the study began. Errors of the user's own lines pass unchanged.
    """
    try:
        # Late, because a node of a cluster may lack Keras Tuner.
        from trainables.hypermodels.loading import HyperModelOfUser
    except ImportError as exc:
        raise UserCodeError(f"family 'keras_tuner' {MISSING}") from exc
    folder = Path(context.study_dir or ".").absolute()
    values = {**{name: params[name] for name in SHARED}, **context.own_parameters}
    where = f"function {params['function']!r}"
    files = BuildFiles(folder)
    with importable(folder), files.noted():
        hypermodel = HyperModelOfUser(params["function"], OwnCode(folder=str(folder), source=params["source"]))
        model, _ = hypermodel.built(lambda asked: _value(asked, values, where=where))
        given = _given(model, where=where)
        model = _scaled(model, params["normalization"], given=given, task=task, context=context, where=where)
        check_model(model, task, where=where, folder=folder)
        arguments = guarded(
            lambda: for_class_numbers(given, task), where=where, own=OwnCode(folder=str(folder)), takes="(hp)"
        )
        if arguments is not None:
            model.compile(**arguments)
    files.belong_to(model)
    return model


def _value(asked: Asked, values: Mapping[str, Any], *, where: str) -> Any:
    if asked.name in values:
        return values[asked.name]
    raise UserCodeError(
        f"{where}: {asked.place}: hp.{asked.text}: the space has no value of {asked.given!r} for this variant, as no "
        "call with other values asked for it; ask for it before the if or loop that it stands in"
    )


def _given(model: Any, *, where: str) -> Mapping[str, Any]:
    """Returns what a model was compiled with; `check_model` says in words what is no model."""
    if not isinstance(model, keras.Model):
        return {}
    given = compiled_with(model)
    if given is None:
        raise UserCodeError(
            f"{where}: expected a compiled model, as Keras Tuner does, got one without optimizer and loss; call "
            "model.compile(optimizer=..., loss=..., metrics=[...]) in it"
        )
    return given


def _scaled(  # noqa: PLR0913 - the surroundings of one build
    model: Any, normalization: str, *, given: Mapping[str, Any], task: Task, context: BuildContext, where: str
) -> Any:
    """Returns the model behind a layer that scales pixels of 0-255, or itself where its pixels stay as they are."""
    if not isinstance(model, keras.Model) or normalization == OWN or len(task.inputs) > 1:
        return model
    if normalization == AUTO and any(isinstance(layer, _SCALING_LAYERS) for layer in all_layers(model)):
        return model
    kind: Any = type(model)
    if kind.train_step is not keras.Model.train_step or kind.compute_loss is not keras.Model.compute_loss:
        raise UserCodeError(
            f"{where}: {kind.__name__} has steps of its own, and its pixels are 0-255: scale them in its call by "
            f"layers.Rescaling(1 / 255), or write normalization: {OWN} in space.params if it scales them otherwise"
        )
    image, scale = scaled_input(task.input_shape, context.pixel_scaling)
    try:
        outputs = model(scale(image))
    except (ValueError, TypeError):
        # `check_model` says in words what the model does not take.
        return model
    outer = keras.Model(image, outputs, name=f"scaled_{model.name}")
    outer.compile(**given)
    # Else its optimizer, which never takes a step, is in every file of the model.
    model.compiled, model.optimizer = False, None
    return outer
