"""The errors of this package.

OrchestratorError
├── InputError            what the user gave is wrong: exit code 2
│   ├── StudyFileError    a study file, all its mistakes at once
│   └── RunFolderError    a run folder that is missing, taken, or not one
├── StudyFailedError      the study cannot work: exit code 1
│   ├── ResourceError     a trial asks for what this machine or cluster can never give
│   ├── DiskSpaceError    too little room is left to go on; resumable
│   └── ExportError       an export failed or does not predict what its checkpoint predicts
├── JournalError          a journal that cannot be read
└── StudyPausedError      interrupted, resumable: exit code 130
"""


class OrchestratorError(Exception):
    """Anything that ends a command."""


class InputError(OrchestratorError):
    """What the user gave is wrong."""


class StudyFileError(InputError):
    """A study file with mistakes, one a line."""


class RunFolderError(InputError):
    """A run folder that is missing, taken, or not a run folder."""


class StudyFailedError(OrchestratorError):
    """A study that cannot work."""


class ResourceError(StudyFailedError):
    """A trial that asks for what can never be given."""


class DiskSpaceError(StudyFailedError):
    """Too little room on a disk to go on; the study is paused and can be resumed."""


class ExportError(StudyFailedError):
    """An export that failed or is not faithful to its checkpoint."""


class JournalError(OrchestratorError):
    """A journal that cannot be read."""


class StudyPausedError(OrchestratorError):
    """A study that was interrupted and can be resumed."""
