"""The epochs of a training on its splits: a state of the model for each, trained by the same compiled functions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from search_spaces import Variant
from trainables.checkpoints.state_names import MODEL, REPEAT
from trainables.data.batches.tensors import epoch_order
from trainables.data.splits.repeated import RepeatedSplit
from trainables.errors import CheckpointError
from trainables.training.epochs import CompiledPhase
from trainables.training.state import assign, memory_of_all

State = Mapping[str, np.ndarray]


class Repeats:
    """The splits of a training, and the states of those beyond the first between their epochs.

    All begin with the weights that the first split begins with. A metric that is the mean over them is measured on as
    many more images.

    Args:
        first: The split whose state the model has between epochs.
        others: Beyond the first; mostly none.
        variant: What is trained.

    Source: Burman 1989, "A comparative study of ordinary cross-validation, v-fold cross-validation and the repeated
        learning-testing methods".
    """

    def __init__(self, first: RepeatedSplit, others: Sequence[RepeatedSplit], *, variant: Variant) -> None:
        self._first, self._others = first, others
        self._variant = variant
        self._states: list[State] = []

    @property
    def count(self) -> int:
        """How many splits there are."""
        return 1 + len(self._others)

    def run_epoch(
        self,
        compiled: CompiledPhase,
        *,
        epoch: int,
        seconds: dict[str, float],
        before_tests: Sequence[Callable[[], None]],
    ) -> tuple[dict[str, float], float]:
        """Trains and validates one epoch of every split.

        Args:
            compiled: The functions and the variables, which have the first split's state.
            epoch: From 1.
            seconds: Gets the seconds of validation.
            before_tests: Called between training and validation of the first split.

        Returns:
            The means of the metrics over the splits, and the seconds of all training steps.
        """
        if self._others and not self._states:
            self._states = [memory_of_all(compiled.variables)] * len(self._others)
        metrics, train_seconds = self._one_epoch(
            compiled, self._first, epoch=epoch, seconds=seconds, before_tests=before_tests
        )
        if not self._others:
            return metrics, train_seconds
        own, measured = memory_of_all(compiled.variables), [metrics]
        for number, split in enumerate(self._others):
            assign(compiled.variables, self._states[number], variant=self._variant)
            metrics, more = self._one_epoch(compiled, split, epoch=epoch, seconds=seconds)
            measured.append(metrics)
            train_seconds += more
            self._states[number] = memory_of_all(compiled.variables)
        assign(compiled.variables, own, variant=self._variant)
        return mean_of(measured), train_seconds

    def begin_again(self, variant: Variant) -> None:
        """Forgets all states, for another variant."""
        self._variant, self._states = variant, []

    def begin_phase(self, state: State) -> None:
        """Gives every split the fresh state of another phase, with the model's weights that it had.

        Args:
            state: The first split's, at the beginning of the phase.
        """
        self._states = [
            {name: own[name] if name.startswith(MODEL) else array for name, array in state.items()}
            for own in self._states
        ]

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
        if list(states) != list(range(2, 1 + self.count)):
            raise CheckpointError(
                f"the checkpoint is of a training on {1 + len(states)} splits, this one is on {self.count}"
            )
        self._states = list(states.values())
        return own

    def _one_epoch(
        self,
        compiled: CompiledPhase,
        split: RepeatedSplit,
        *,
        epoch: int,
        seconds: dict[str, float],
        before_tests: Sequence[Callable[[], None]] = (),
    ) -> tuple[dict[str, float], float]:
        order = epoch_order(split.train, seed=self._variant.seed, epoch=epoch)
        started = time.perf_counter()
        metrics = compiled.train(order, epoch=epoch)
        train_seconds = time.perf_counter() - started
        for call in before_tests:
            call()
        with spent(seconds, "validate"):
            validated = compiled.validate(split.validation)
        return metrics | {f"val_{name}": value for name, value in validated.items()}, train_seconds


@contextmanager
def spent(seconds: dict[str, float], kind: str) -> Iterator[None]:
    """Adds the seconds that pass meanwhile to those of a kind."""
    started = time.perf_counter()
    yield
    seconds[kind] = seconds.get(kind, 0.0) + time.perf_counter() - started


def mean_of(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of metrics over splits, by name.

    >>> mean_of([{"loss": 1.0}, {"loss": 2.0}])
    {'loss': 1.5}
    """
    return {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
