"""What the traced epochs of a training measure, compared with what the study needs of it."""

from collections.abc import Callable

from trainables.errors import UserCodeError
from trainables.training.epochs import CompiledPhase


def check_measured(phase: CompiledPhase, *, metric: str, on_note: Callable[[str], None]) -> None:
    """Notes which numbers a user's steps return themselves, and refuses what is no number.

    Args:
        phase: Traced.
        metric: The study's objective.
        on_note: Takes what readers of the reports should know.

    Raises:
        UserCodeError: The steps do not measure the objective, or a metric is no single number.
    """
    for name, shape in phase.shapes.items():
        if shape:
            raise UserCodeError(f"metric {name}: expected one number as its result, got shape {shape}; return its mean")
    if metric not in phase.shapes:
        step = "test_step" if metric.startswith("val_") else "train_step"
        raise UserCodeError(
            f"the model's {step} does not measure the objective {metric}: a report of it would have "
            f"{', '.join(phase.shapes) or 'nothing'}; return it as Keras does, "
            f"{{'{metric.removeprefix('val_')}': ...}}, or update the objects in self.metrics, or choose another "
            "objective.metric"
        )
    for step, names in phase.returned.items():
        on_note(
            f"{step} of the model returns {', '.join(names)} and updates no metric object with it: as with Keras's "
            "fit, reports have what the last batch of the epoch returned"
        )
