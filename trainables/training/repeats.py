"""The further splits of a training: one state of the same model for each, trained by the same compiled functions."""

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.checkpoints.state_names import MODEL, REPEAT
from trainables.data.splits.repeated import RepeatedSplit
from trainables.errors import CheckpointError

State = Mapping[str, np.ndarray]


class Repeats:
    """The states of a training's further splits, between their epochs.

    All begin with the weights that the first split begins with. A metric that is the mean over them is measured on as
    many more images.

    Args:
        splits: Beyond the first; empty: there is one split alone.

    Source: Burman 1989, "A comparative study of ordinary cross-validation, v-fold cross-validation and the repeated
        learning-testing methods".
    """

    def __init__(self, splits: Sequence[RepeatedSplit]) -> None:
        self.splits = splits
        self._states: list[State] = []

    def __len__(self) -> int:
        """Returns how many splits there are beyond the first."""
        return len(self.splits)

    def begin(self, state: State) -> None:
        """Gives every split the first one's state, unless it has its own already."""
        if not self._states:
            self._states = [state] * len(self.splits)

    def begin_again(self) -> None:
        """Forgets all states."""
        self._states = []

    def begin_phase(self, state: State) -> None:
        """Gives every split the fresh state of another phase, with the model's weights that it had.

        Args:
            state: The first split's, at the beginning of the phase.
        """
        self._states = [
            {name: own[name] if name.startswith(MODEL) else array for name, array in state.items()}
            for own in self._states
        ]

    def state_of(self, number: int) -> State:
        """Returns the state of a split, counted from 0."""
        return self._states[number]

    def keep(self, number: int, state: State) -> None:
        """Sets the state of a split, counted from 0."""
        self._states[number] = state

    def named(self) -> dict[str, np.ndarray]:
        """Returns the arrays of all states, named `repeat/0002/model/0000` and so on; the first split is number 1."""
        return {
            f"{REPEAT}{number:04d}/{name}": array
            for number, state in enumerate(self._states, start=2)
            for name, array in state.items()
        }

    def load(self, state: State) -> dict[str, np.ndarray]:
        """Takes the arrays that `named` gave and returns the others, which are the first split's.

        Raises:
            CheckpointError: The arrays are of more or fewer splits.
        """
        own: dict[str, np.ndarray] = {}
        states: dict[int, dict[str, np.ndarray]] = {}
        for name, array in state.items():
            if name.startswith(REPEAT):
                number, _, rest = name.removeprefix(REPEAT).partition("/")
                states.setdefault(int(number), {})[rest] = array
            else:
                own[name] = array
        if list(states) != list(range(2, 2 + len(self.splits))):
            raise CheckpointError(
                f"the checkpoint is of a training on {1 + len(states)} splits, this one is on {1 + len(self.splits)}"
            )
        self._states = list(states.values())
        return own


def mean_of(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of metrics over splits, by name.

    >>> mean_of([{"loss": 1.0}, {"loss": 2.0}])
    {'loss': 1.5}
    """
    return {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
