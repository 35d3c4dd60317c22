"""What workers find out before their first epoch has ended is shown while the study is at work, each sentence once."""

from types import SimpleNamespace

from orchestrator.driver.endings import open_session
from orchestrator.nodes.on_cluster import StudyOnCluster
from orchestrator.runs.folder import make_run_folder
from orchestrator.study.loading import load_study
from trainables.checkpoints.early_notes import EarlyNotes, leave_early_note


class Messages:
    """Keeps what it is to show."""

    def __init__(self):
        self.shown = []

    def message(self, text):
        self.shown.append(text)

    def update(self, state, *, now, elapsed_seconds):
        """Says nothing."""


class Training:
    """A study of three looks: before each, a worker leaves a sentence."""

    def __init__(self, checkpoints):
        self._checkpoints, self._left = checkpoints, ["one", "two", "one"]

    def wait(self, seconds):
        leave_early_note(self._checkpoints, f"the model is odd in {self._left.pop(0)} way")
        return not self._left


def test_sentences_of_workers_are_shown_while_the_study_is_at_work(tmp_path):
    messages, spec = Messages(), load_study("quickstart")
    folder = make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml())
    with open_session(folder, spec, address=None, progress=messages) as session:
        session.open_study()
        notes = EarlyNotes(folder.checkpoints)
        alone = StudyOnCluster(None, resources=spec.resources)
        prepared = SimpleNamespace(spec=spec, num_concurrent=1, cluster=alone)
        session._watch(Training(folder.checkpoints), notes=notes, prepared=prepared)
    shown = [text for text in messages.shown if text.startswith("note: ")]
    assert shown == ["note: the model is odd in one way", "note: the model is odd in two way"]
