"""Every touch of the private parts of Ray that starting its workers as forks needs, seen in Ray 2.60.

At an upgrade, tests/orchestrator/forking shows what changed.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray import actor
from ray._private import ray_constants
from ray._raylet import Config  # type: ignore[attr-defined, unused-ignore]


class _ActorClassID:
    """Makes the identifiers of classes of actors without Ray's generator of random numbers."""

    @staticmethod
    def from_random() -> object:
        """Returns a new identifier."""
        return _BEFORE(os.urandom(_BEFORE.size()))


_BEFORE = actor.ActorClassID  # type: ignore[attr-defined, unused-ignore]


@contextmanager
def generator_unused() -> Iterator[None]:
    """Keeps imports meanwhile from seeding Ray's generator: the identifiers of all later forks would be alike.

    A decorated class of actors draws its identifier as its module is imported.
    """
    actor.ActorClassID = _ActorClassID  # type: ignore[attr-defined, unused-ignore]
    try:
        yield
    finally:
        actor.ActorClassID = _BEFORE  # type: ignore[attr-defined, unused-ignore]


def read_settings_again() -> None:
    """Makes Ray read its settings from the environment again; this process read them when it imported Ray."""
    Config.initialize("")


def worker_arguments(arguments: list[str]) -> list[str]:
    """Returns what is left of a worker's arguments without those for Ray's script that sets a worker up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--serialized-runtime-env-context")
    parser.add_argument("--language")
    return parser.parse_known_args(arguments)[1]


def setup_worker() -> str:
    """Returns the path of the script by which Ray starts workers."""
    return str(Path(ray_constants.__file__).parent / "workers" / ray_constants.SETUP_WORKER_FILENAME)


@contextmanager
def started_by(path: str) -> Iterator[None]:
    """Makes a Ray that is started meanwhile start its workers by another script.

    Args:
        path: The script, absolute.
    """
    before = ray_constants.SETUP_WORKER_FILENAME
    # Ray joins it to the folder of its own scripts; joined to an absolute path, that is gone.
    ray_constants.SETUP_WORKER_FILENAME = path
    try:
        yield
    finally:
        ray_constants.SETUP_WORKER_FILENAME = before
