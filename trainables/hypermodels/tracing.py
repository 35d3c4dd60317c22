"""Calls a user's hypermodel again and again to find its space; only a child process does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from search_spaces import SearchSpace
from trainables.errors import UserCodeError
from trainables.hypermodels.asked import Asked, Trace, domain_of
from trainables.hypermodels.exploring import Explorer
from trainables.hypermodels.loading import HyperModelOfUser
from trainables.hypermodels.parameters import NotedParameters
from trainables.specs.worker import OwnCode
from trainables.user_code import importable, in_words, user_error


def found_space(reference: str, *, folder: Path) -> SearchSpace:
    """Returns the space of a hypermodel, of a family without a name.

    Raises:
        UserCodeError: It is no hypermodel, fails with its defaults, or has a space that cannot be said.
    """
    own = OwnCode(folder=str(folder))
    with importable(folder):
        hypermodel = HyperModelOfUser(reference, own)
        return Explorer(lambda values: trace_of(hypermodel, values)).explore()


def trace_of(hypermodel: HyperModelOfUser, values: Mapping[str, Any]) -> Trace:
    """Returns what a hypermodel asks for with these values; other parameters have their defaults."""
    chosen: dict[str, Any] = {}

    def answer(asked: Asked) -> Any:
        if asked.name not in chosen:
            chosen[asked.name] = values[asked.name] if asked.name in values else default_of(asked)
        return chosen[asked.name]

    keras.utils.clear_session(free_memory=False)
    parameters = NotedParameters(answer, folder=hypermodel.folder)
    error = ""
    try:
        hypermodel.build_with(parameters)
    except UserCodeError as exc:
        error = str(exc).partition("\n")[0]
    except Exception as exc:  # noqa: BLE001 - a user's build may raise anything, and asked for what it asked for
        error = user_error(exc, folder=hypermodel.folder).partition("\n")[0] or in_words(exc)
    return Trace(asked=tuple(parameters.asked), values=chosen, error=error)


def default_of(asked: Asked) -> Any:
    """Returns Keras Tuner's default of a parameter, the first value of its range if that is outside."""
    domain, _ = domain_of(asked.entry)
    if domain is None or domain.contains(asked.default):
        return asked.default
    return domain.low if hasattr(domain, "low") else domain.at(0)
