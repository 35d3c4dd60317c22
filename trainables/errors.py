"""The errors of this package.

TrainingError
├── DataError           the data cannot be used; the message says what is wrong with it, where, and the fix
├── InfeasibleError     the variant cannot be built or fitted to these images; nothing was trained
├── DivergedError       the loss is no longer a finite number
├── MicroBatchError     batches cannot be trained in smaller pieces
├── UserCodeError       a user's own function failed, or returned what is no model of the task
├── CheckpointError     a checkpoint is missing, torn or belongs to another variant
├── ModelExportError    a model cannot be written, or predicts otherwise than its checkpoint
│   └── LostCheckpointError  the checkpoint to export is missing or damaged
└── RemoteError         remote storage does not answer or refuses
"""


class TrainingError(Exception):
    """A variant that cannot be trained further."""


class DataError(TrainingError):
    """Data that cannot be used; the message says what is wrong with it, where, and the fix."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class InfeasibleError(TrainingError):
    """A variant that cannot be built for these images; it was not trained for a step."""


class DivergedError(TrainingError):
    """A loss that is no longer a finite number."""


class MicroBatchError(TrainingError):
    """A model whose batches cannot be trained in smaller pieces; the message says why."""


class UserCodeError(TrainingError):
    """A user's own code that failed; the first line of the message is complete, the user's lines may follow."""


class CheckpointError(TrainingError):
    """A checkpoint that is missing, damaged or of another variant."""


class ModelExportError(TrainingError):
    """A model that cannot be written, or whose files do not predict what its checkpoint predicts."""


class LostCheckpointError(ModelExportError):
    """A checkpoint to export that is missing or damaged, on this machine and in storage."""


class RemoteError(TrainingError):
    """Remote storage that does not answer or refuses.

    Args:
        message: The place in remote storage, and the answer.
        is_lasting: Whether another try would fail too.
    """

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting
