"""Tells the advice of a study while it runs, each sentence when it first holds."""

import time
from collections.abc import Callable

from orchestrator.advice.advice import Advice, advice_of
from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder

#: The study is looked at again when it has this part more trials that ended, so that all looks together read each
#: report some ten times, however many trials there are.
_GROWTH = 0.1
#: A look is followed by so many times its own time without one: looks get a fiftieth of the driver's time.
_REST = 50.0


class AdviceWatch:
    """The advice that a session has told its user.

    Args:
        folder: The run folder, which this driver holds.
        state: The study as the session begins: what holds already was told by an earlier session.
        clock: Seconds from any start.
    """

    def __init__(self, folder: RunFolder, *, state: StudyState, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        #: What was told, by what it is about: numbers in a sentence change with every trial.
        self._told = {advice.about for advice in self._look(state)}

    def since_last(self, state: StudyState) -> list[str]:
        """Returns the sentences that hold for the first time; costs nothing between two looks.

        Args:
            state: The study; another thread may add to it meanwhile.
        """
        if state.num_ended < self._next_count or self._clock() < self._next_time:
            return []
        new = [advice for advice in self._look(state) if advice.about not in self._told]
        self._told.update(advice.about for advice in new)
        return [advice.text for advice in new]

    def _look(self, state: StudyState) -> list[Advice]:
        began, num_ended = self._clock(), state.num_ended
        found = advice_of(state, folder=self._folder) if num_ended else []
        self._next_count = num_ended + max(1, int(num_ended * _GROWTH))
        self._next_time = began + (1.0 + _REST) * (self._clock() - began)
        return found
