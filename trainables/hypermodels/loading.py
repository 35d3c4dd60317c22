"""Loads what a study names as a hypermodel: a function of (hp), a class of HyperModel, or an object of one."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from trainables.errors import UserCodeError
from trainables.hypermodels.asked import Asked
from trainables.hypermodels.parameters import NotedParameters
from trainables.own_code.loading import guarded, load_own, made
from trainables.specs.worker import OwnCode

_ARGUMENTS = "(hp)"


class HyperModelOfUser:
    """A user's hypermodel.

    Args:
        reference: `module:name`.
        own: Where the module lies, and what its code was.

    Raises:
        UserCodeError: It is no hypermodel, or trains its models by a `fit` of its own.
        DataError: Its code has changed.
    """

    def __init__(self, reference: str, own: OwnCode) -> None:
        self.where = f"function {reference!r}"
        self._own = own
        self.folder = Path(own.folder or ".").absolute()
        found: Any = load_own(reference, own, where=self.where)
        if inspect.isclass(found):
            _demand(issubclass(found, keras_tuner.HyperModel), found, where=self.where)
            found = made(found, own, where=self.where)
        elif not isinstance(found, keras_tuner.HyperModel):
            _demand(callable(found), found, where=self.where)
        self._build: Callable[..., Any] = found.build if isinstance(found, keras_tuner.HyperModel) else found
        self._declare = getattr(found, "declare_hyperparameters", None)
        if isinstance(found, keras_tuner.HyperModel):
            _refuse_fit(type(found), where=self.where)

    def built(self, answer: Callable[[Asked], Any]) -> tuple[Any, NotedParameters]:
        """Returns the model of the values that a function answers with, and what was asked for.

        Errors of the user's own lines pass unchanged.
        """
        parameters = NotedParameters(answer, folder=self.folder)
        return self.build_with(parameters), parameters

    def build_with(self, parameters: NotedParameters) -> Any:
        """Returns the model that the hypermodel builds with hyperparameters."""

        def call() -> Any:
            if self._declare is not None:
                self._declare(parameters)
            return self._build(parameters)

        return guarded(call, where=self.where, own=self._own, takes=_ARGUMENTS)


def _demand(is_right: bool, found: Any, *, where: str) -> None:
    if not is_right:
        kind = f"the class {found.__name__}" if inspect.isclass(found) else f"a {type(found).__name__}"
        raise UserCodeError(
            f"{where}: expected a function of {_ARGUMENTS}, or a class or an object of keras_tuner.HyperModel, got "
            f"{kind}; for example def build(hp): ... return model"
        )


def _refuse_fit(kind: type, *, where: str) -> None:
    fit: Any = getattr(kind, "fit", None)
    if fit is keras_tuner.HyperModel.fit:
        return
    code = inspect.unwrap(fit).__code__
    raise UserCodeError(
        f"{where}: {Path(code.co_filename).name}:{code.co_firstlineno}: {kind.__name__} has a fit of its own, which no "
        "trial calls: an epoch runs compiled as a whole. Move what it sets: epochs to schedule.max_epochs, batch_size "
        "to space.params, callbacks to callbacks, class weights to space.params.class_weights; then remove it"
    )
