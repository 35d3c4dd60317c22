"""Sentences of workers for the driver, before the first report."""

from trainables.checkpoints.early_notes import EarlyNotes, leave_early_note


def test_each_sentence_reaches_the_driver_once_a_run(tmp_path):
    leave_early_note(tmp_path, "of an earlier session")
    notes = EarlyNotes(tmp_path)
    assert notes.since_last() == []
    for text in ("the model is odd", "so is its loss: ä", "the model is odd", "of an earlier session"):
        leave_early_note(tmp_path, text)
    assert sorted(notes.since_last()) == ["so is its loss: ä", "the model is odd"]
    leave_early_note(tmp_path, "the model is odd")
    assert notes.since_last() == []


def test_a_run_without_notes_has_no_folder_of_them(tmp_path):
    assert EarlyNotes(tmp_path / "missing").since_last() == []
    assert list(tmp_path.iterdir()) == []
