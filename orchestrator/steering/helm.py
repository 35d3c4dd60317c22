"""Honours requests while a driver is at work: each becomes a record before anything acts on it."""

from collections.abc import Callable

from orchestrator.errors import InputError
from orchestrator.journal.recorder import Recorder
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.decisions import IN_JOURNAL, Asked, decide
from orchestrator.steering.inbox import Arrived, Inbox
from orchestrator.steering.requests import AddVariant, Answer, PauseStudy, asked_at
from orchestrator.steering.words import waiting_words
from orchestrator.study.spec import StudySpec


class PausedFromOutside(KeyboardInterrupt):
    """A person asks from outside the driver's terminal that the study pauses."""

    def __init__(self) -> None:
        super().__init__("paused from outside")


class Helm:
    """Turns the requests of a run folder into records, and answers them.

    Records alone are written: the scheduler and the searcher read from the state that follows what is asked. A request
    whose record the journal has already is answered again, and changes nothing.

    Args:
        folder: The run folder, which this driver holds.
        recorder: Writes the journal.
        since: When this driver began, in seconds since 1970: a pause that was asked for earlier is not for it.
        notify: Shows the user a message.
    """

    def __init__(self, folder: RunFolder, *, recorder: Recorder, since: float, notify: Callable[[str], None]) -> None:
        self._inbox, self._recorder, self._since = Inbox(folder), recorder, since
        self._notify = notify
        self._inbox.forget_old_answers(now=recorder.now())

    def poll(self, spec: StudySpec) -> None:
        """Honours what has arrived since the last time.

        Args:
            spec: The study.

        Raises:
            PausedFromOutside: If a person asks for a pause.
            StudyPausedError: If another driver has taken over.
        """
        is_paused = False
        for arrived in self._inbox.arrived():
            answer = self._honoured(arrived, spec)
            self._inbox.answer(arrived, answer)
            if answer.is_done:
                self._notify(f"asked from outside: {answer.text}")
                is_paused |= isinstance(arrived.request, PauseStudy)
        if is_paused:
            raise PausedFromOutside

    def _honoured(self, arrived: Arrived, spec: StudySpec) -> Answer:
        request, state = arrived.request, self._recorder.state
        if request is None:
            return Answer(is_done=False, text=arrived.problem)
        if isinstance(request, PauseStudy) and asked_at(arrived.request_id) < self._since:
            return Answer(is_done=False, text="this pause was asked for before the driver began, and not of it")
        if arrived.request_id in state.steering.requests:
            return Answer(is_done=True, text=IN_JOURNAL)
        asked = Asked(request=request, request_id=arrived.request_id, at=self._recorder.now())
        try:
            decision = decide(asked, state, spec=spec)
        except InputError as exc:
            return Answer(is_done=False, text=str(exc))
        if decision.record is not None:
            self._recorder.append(decision.record)
            # The request goes away now, and must not be lost with the machine's power.
            self._recorder.sync()
        # Ray Tune's thread may have taken the last place between the decision and its record.
        waiting = waiting_words(self._recorder.state) if isinstance(request, AddVariant) else ""
        if "resume with" in waiting:
            return Answer(is_done=True, text=f"added: {waiting}")
        return Answer(is_done=True, text=decision.text)
