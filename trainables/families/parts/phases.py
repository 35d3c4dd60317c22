"""Phases of a training: epochs in a row in which the same layers learn, at learning rates of their own.

Entering a phase, the model is compiled anew, as Keras's guide on transfer learning does: the optimizer is fresh, its
schedule and running averages of weights begin anew and see the epochs of the phase alone, and gradients that
accumulation left over are dropped. So what a training does follows from its variant and the epoch alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _as_built(model: Any) -> None:
    """Leaves the choice of what learns to the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some epochs of a training.

    Args:
        first_epoch: From 1.
        learning_rate_share: Factor on the variant's learning rate.
        prepare: Decides in place which layers of a model learn, whatever learned before.
    """

    first_epoch: int = 1
    learning_rate_share: float = 1.0
    prepare: Callable[[Any], None] = _as_built

    def params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the variant's parameters as they count in this phase.

        >>> Phase(learning_rate_share=0.5).params({"learning_rate": 0.1})
        {'learning_rate': 0.05}
        """
        return {**params, "learning_rate": params["learning_rate"] * self.learning_rate_share}


def most_trained(phases: Sequence[Phase], model: Any, *, current: Phase) -> int:
    """Returns how many numbers learn in the phase in which the most do; the model stays in its current phase."""
    counts = []
    for phase in phases:
        phase.prepare(model)
        counts.append(sum(math.prod(variable.shape) for variable in model.trainable_variables))
    current.prepare(model)
    return max(counts)


def phase_at(phases: Sequence[Phase], epoch: int, *, max_epochs: int) -> tuple[Phase, int]:
    """Returns the phase of an epoch, and how many epochs the phase has.

    >>> phase, num_epochs = phase_at([Phase(), Phase(first_epoch=3)], 3, max_epochs=9)
    >>> phase.first_epoch, num_epochs
    (3, 7)

    Args:
        phases: By their first epochs, the first of which is 1.
    """
    number = max(position for position, phase in enumerate(phases) if phase.first_epoch <= max(1, epoch))
    end = phases[number + 1].first_epoch if number + 1 < len(phases) else max_epochs + 1
    return phases[number], min(end, max_epochs + 1) - phases[number].first_epoch
