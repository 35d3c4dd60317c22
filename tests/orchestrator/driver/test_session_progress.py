"""What a session shows must not hold up what it writes down."""

import threading

from orchestrator.driver.endings import open_session
from orchestrator.runs.folder import make_run_folder
from orchestrator.study.loading import load_study


class StuckTerminal:
    """Takes no more, as one that was paused, until it is told to."""

    def __init__(self):
        self.is_drawing, self.may_go_on = threading.Event(), threading.Event()

    def message(self, text):
        """Says nothing."""

    def update(self, state, *, now, elapsed_seconds):
        self.is_drawing.set()
        assert self.may_go_on.wait(60)


def test_a_terminal_that_takes_no_more_keeps_no_record_from_the_journal(tmp_path, make_proposed):
    terminal, spec = StuckTerminal(), load_study("quickstart")
    folder = make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml())
    with open_session(folder, spec, address=None, progress=terminal) as session:
        session.open_study()
        shown = threading.Thread(target=session.show)
        shown.start()
        try:
            assert terminal.is_drawing.wait(60)
            appended = threading.Thread(target=session.recorder.append, args=[make_proposed(0, at=1.0)], daemon=True)
            appended.start()
            appended.join(30)
            is_free = not appended.is_alive()
        finally:
            terminal.may_go_on.set()
            shown.join()
        assert is_free
    assert b"trial_proposed" in folder.journal.read_bytes()
