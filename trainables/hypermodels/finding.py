"""Finds the space of a user's hypermodel in a child process; neither Keras nor the user's code enters the caller."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search_spaces import space_to_mapping
from trainables.errors import DataError, TrainingError
from trainables.machine.child_process import answer_caller, ask_child
from trainables.progress import OnProgress, no_progress
from trainables.user_code import in_words, user_error

MISSING = "needs Keras Tuner, which is not installed; pip install 'convfleet[keras-tuner]'"


def find_space_in_process(reference: str, *, folder: Path) -> Mapping[str, Any]:
    """Returns the parameters that a hypermodel asks for, as `params` of a study file declares them.

    Args:
        reference: `module:name`.
        folder: The folder of the module.

    Raises:
        DataError: It is no hypermodel, fails, or has a space that cannot be said; the message says what to do.
    """
    if find_spec("keras_tuner") is None:
        raise DataError(f"family 'keras_tuner' {MISSING}")
    answer: Mapping[str, Any] = ask_child(
        "trainables.hypermodels.finding",
        {"reference": reference, "folder": str(folder)},
        what="the process that looks for the function's parameters",
        on_progress=no_progress,
    )
    return answer


def main() -> int:
    """Answers one request of `find_space_in_process`."""
    return answer_caller(_find)


def _find(request: Any, progress: OnProgress) -> Any:
    # Late, because it imports Keras.
    from trainables.hypermodels.tracing import found_space

    folder = Path(request["folder"])
    try:
        params = space_to_mapping(found_space(request["reference"], folder=folder))["params"]
    except DataError:
        raise
    except TrainingError as exc:
        raise DataError(str(exc).partition("\n")[0]) from exc
    except Exception as exc:
        raise DataError(user_error(exc, folder=folder).partition("\n")[0] or in_words(exc)) from exc
    return params


if __name__ == "__main__":
    sys.exit(main())
