"""The errors of this package.

OrchestratorError
├── InputError            what the user gave is wrong: exit code 2
│   ├── StudyFileError    a study file, all its mistakes at once
│   ├── RunFolderError    a run folder that is missing, taken, or not one
│   └── RegistryError     a registry, a model or a version that is missing, refused or damaged
├── StudyFailedError      the study cannot work: exit code 1
│   ├── ResourceError     a trial asks for what this machine or cluster can never give
│   ├── DiskSpaceError    too little room is left to go on; resumable
│   └── ExportError       an export failed or does not predict what its checkpoint predicts
├── JournalError          a journal that cannot be read
├── TrackerError          a tracker that does not take a run's events: exit code 1
└── StudyPausedError      interrupted, resumable: exit code 130
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any


class OrchestratorError(Exception):
    """Anything that ends a command.

    Examples:
        Catches whatever may end a study, and nothing else::

            import convfleet

            try:
                convfleet.resume_study("runs/no-such-run")
            except convfleet.OrchestratorError as error:
                print(f"error: {error}")
    """

    def _render_traceback_(self) -> list[str]:
        """Returns what IPython shows of the error: no traceback, as on the command line."""
        return [f"{type(self).__name__}: {self}"]


class InputError(OrchestratorError):
    """What the user gave is wrong.

    Examples:
        >>> import convfleet
        >>> try:
        ...     convfleet.load_study("quickstart", overrides=["search.trials=0"])
        ... except convfleet.InputError as error:
        ...     print(error)
        quickstart: search.trials: must be greater than or equal to 1, got 0; for example trials: 24
    """


class StudyFileError(InputError):
    """A study file with mistakes, one a line."""


class RunFolderError(InputError):
    """A run folder that is missing, taken, or not a run folder."""


class RegistryError(InputError):
    """A registry, a model or a version that is missing, refused or damaged."""


class StudyFailedError(OrchestratorError):
    """A study that cannot work.

    Examples:
        Asks for more CPUs than any machine has::

            import convfleet

            study = convfleet.load_study("quickstart", overrides=["resources.cpus_per_trial=100000"])
            try:
                convfleet.run_study(study)
            except convfleet.StudyFailedError as error:
                print(f"cannot work: {error}")
    """


class ResourceError(StudyFailedError):
    """A trial that asks for what can never be given."""


class DiskSpaceError(StudyFailedError):
    """Too little room on a disk to go on; the study is paused and can be resumed."""


class ExportError(StudyFailedError):
    """An export that failed or is not faithful to its checkpoint; the run and its other exports are whole.

    Args:
        message: What failed, one export or format a line.
        made: The exports that were made all the same.

    Attributes:
        run: The run folder; None until the run has ended.
    """

    def __init__(self, message: str, *, made: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.made = tuple(made)
        self.run: Path | None = None


class JournalError(OrchestratorError):
    """A journal that cannot be read."""


class TrackerError(OrchestratorError):
    """A tracker that does not take a run's events; the run and its journal are whole."""


class StudyPausedError(OrchestratorError):
    """A study that was interrupted and can be resumed.

    Examples:
        Goes on once after the first Ctrl-C::

            import convfleet

            try:
                result = convfleet.resume_study("runs/quickstart")
            except convfleet.StudyPausedError:
                result = convfleet.resume_study("runs/quickstart")

    Attributes:
        run: The run folder; None where no trial had begun.
    """

    run: Path | None = None

    def _render_traceback_(self) -> list[str]:
        """Returns what IPython shows of the error: how to go on from a notebook."""
        if self.run is None:
            return super()._render_traceback_()
        return [f"{type(self).__name__}: nothing is lost; go on with: convfleet.resume_study({str(self.run)!r})"]
