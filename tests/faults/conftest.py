"""What short forms of the faults share: an undisturbed run of their study, and commands that join the shared Ray."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import corruptions
import pytest
from small_runs import Commands, Rows


@pytest.fixture(scope="session")
def joined_commands(shared_ray: SimpleNamespace) -> Callable[[Path], Commands]:
    """Makes commands in a folder, whose runs join the shared Ray."""
    return lambda folder: Commands(folder, shared_ray.environment, ("--address", shared_ray.address))


@pytest.fixture(scope="session")
def calm_rows(
    joined_commands: Callable[[Path], Commands], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Rows, dict[str, str]]:
    """The rows and variants of an undisturbed run."""
    return corruptions.undisturbed(joined_commands(tmp_path_factory.mktemp("calm") / "run"))
