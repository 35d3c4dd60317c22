"""What a session does with a study that is extended as it is opened."""

from orchestrator.driver.endings import open_session
from orchestrator.runs.folder import make_run_folder
from orchestrator.study.loading import load_study


class Told:
    """Keeps what a session says."""

    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


def test_session_goes_by_the_study_as_it_was_extended(tmp_path):
    spec = load_study("quickstart")
    folder = make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml())
    with open_session(folder, spec, address=None, progress=None) as session:
        session.open_study()
    told, elsewhere = Told(), (tmp_path / "elsewhere").as_uri()
    overrides = ["resources.retries=7", f"storage.uri={elsewhere}"]
    with open_session(folder, load_study(folder.study), address=None, progress=told) as session:
        session.open_study(overrides=overrides)
        assert session.recorder.retries == 7
        assert session.spec.storage.uri == elsewhere
    assert any("kept there from the next session on" in line for line in told.lines)
