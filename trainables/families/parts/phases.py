"""Phases of a training: consecutive epochs in which the same layers learn, each with its own learning rate.

At the start of a phase the model is compiled again, as in Keras's guide on transfer learning: the optimizer is new, its
schedule and running averages of weights see the epochs of this phase alone, and gradients that accumulation left over
are dropped. A training therefore depends on its variant and the epoch alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _as_built(model: Any) -> None:
    """Leaves the model's trainable layers as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Consecutive epochs of a training in which the same layers learn.

    Args:
        first_epoch: The phase's first epoch, counted from 1.
        learning_rate_share: The factor on the variant's learning rate.
        prepare: Sets in place which layers of a model learn, whichever learned before.
    """

    first_epoch: int = 1
    learning_rate_share: float = 1.0
    prepare: Callable[[Any], None] = _as_built

    def params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the variant's parameters with the learning rate of this phase.

        >>> Phase(learning_rate_share=0.5).params({"learning_rate": 0.1})
        {'learning_rate': 0.05}
        """
        return {**params, "learning_rate": params["learning_rate"] * self.learning_rate_share}


def most_trained(phases: Sequence[Phase], model: Any, *, current: Phase) -> int:
    """Returns the most trainable numbers that any phase has; the model stays in its current phase."""
    counts = []
    for phase in phases:
        phase.prepare(model)
        counts.append(sum(math.prod(variable.shape) for variable in model.trainable_variables))
    current.prepare(model)
    return max(counts)


def phase_at(phases: Sequence[Phase], epoch: int, *, max_epochs: int) -> tuple[Phase, int]:
    """Returns the phase of an epoch, and the number of epochs in the phase.

    >>> phase, num_epochs = phase_at([Phase(), Phase(first_epoch=3)], 3, max_epochs=9)
    >>> phase.first_epoch, num_epochs
    (3, 7)

    Args:
        phases: In the order of their first epochs, the first of which is 1.
    """
    number = max(position for position, phase in enumerate(phases) if phase.first_epoch <= max(1, epoch))
    end = phases[number + 1].first_epoch if number + 1 < len(phases) else max_epochs + 1
    return phases[number], min(end, max_epochs + 1) - phases[number].first_epoch
