"""The report's section on the data: what environment.json says of it, and the contact sheet; nothing for older runs."""

import json

import pytest

from orchestrator.journal.study_state import fold
from orchestrator.runs.environment_file import data_notes, last_data
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report import write_report
from orchestrator.views.terminal.status_json import status_json

LOOK = {
    "images": {"train": 30, "validation": 4, "test": 9},
    "blank": {"train": 2, "validation": 0, "test": 1},
    "repeated": {"train": 5, "validation": 0, "test": 0},
    "shared": [
        {"split": "validation", "in": "train", "images": 1, "examples": []},
        {"split": "test", "in": "train", "images": 3, "examples": []},
        {"split": "test", "in": "validation", "images": 7, "examples": []},
    ],
    "values": [0, 17],
    "targets": [
        {
            "name": "label",
            "class_names": ["<b>ant", "bee"],
            "members": {"train": [20, 10], "validation": [4, 0], "test": [5, 4]},
        },
        {"name": "many", "size": 5000},
    ],
    "sheet": ["<b>ant", "bee"],
}


@pytest.fixture
def page_of(tmp_path, make_sweep):
    """Writes the report of a run whose sessions wrote such data, and returns its text."""

    def write(*data):
        folder = RunFolder(tmp_path)
        folder.environment.write_text(json.dumps({"schema": 1, "sessions": [{"data": some} for some in data]}))
        return write_report(folder, state=fold(make_sweep())).read_text(encoding="utf-8")

    return write


def test_section_has_the_last_sessions_notes_splits_and_classes(page_of):
    page = page_of({"notes": ["old"]}, {"notes": ["3 <i>files</i> were left out"], "look": LOOK})
    assert "<h2>Data</h2>" in page
    assert "<li>3 &lt;i&gt;files&lt;/i&gt; were left out</li>" in page
    assert "<li>old</li>" not in page
    cells = [
        ["training", "30", "2", "5", ""], ["validation", "4", "0", "0", "1"], ["test", "9", "1", "0", "3"],
        ["&lt;b&gt;ant", "20", "4", "5"], ["bee", "10", "0", "4"],
    ]  # fmt: skip
    plain = page.replace(' class="number"', "")
    for row in cells:
        assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" in plain
    assert "Training pixels have values from 0 to 17 of 255." in page


def test_contact_sheet_lies_in_the_page_with_its_rows_names(page_of, tmp_path):
    RunFolder(tmp_path).contact_sheet.write_bytes(b"picture")
    page = page_of({"notes": [], "look": LOOK})
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert "before augmentation; rows from the top: &lt;b&gt;ant, bee." in page


@pytest.mark.parametrize("data", [None, {}, {"storage": "decoded"}, {"notes": []}, "text", [1]])
def test_run_of_a_version_that_looked_at_nothing_has_no_section(data, page_of, tmp_path):
    assert "<h2>Data</h2>" not in page_of(data)
    assert data_notes(RunFolder(tmp_path)) == []


@pytest.mark.parametrize(
    "look",
    [7, [], {"images": 3}, {**LOOK, "values": ["x"]}, {**LOOK, "targets": [3]}, {**LOOK, "shared": [{}]}, {"sheet": 5}],
)
def test_a_changed_file_never_hinders_a_report(look, page_of, tmp_path):
    RunFolder(tmp_path).contact_sheet.write_bytes(b"picture")
    page = page_of({"notes": ["a note", 5, None], "look": look})
    assert "<li>a note</li>" in page
    assert "Training images as a model gets them" in page


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"sessions": 5}', '{"sessions": []}', '{"sessions": [3]}', "[" * 9999]
)
def test_unreadable_environment_counts_as_missing(text, tmp_path):
    folder = RunFolder(tmp_path)
    assert last_data(folder) == {}
    folder.environment.write_text(text)
    assert last_data(folder) == {}


def test_a_link_is_not_followed_into_the_page(page_of, tmp_path):
    (tmp_path / "secret").write_bytes(b"picture")
    RunFolder(tmp_path).contact_sheet.symlink_to(tmp_path / "secret")
    assert "cGljdHVyZQ==" not in page_of({"notes": ["a note"]})


def test_status_for_scripts_has_the_notes(page_of, tmp_path, make_sweep):
    page_of({"notes": ["3 files were left out"]})
    said = status_json(fold(make_sweep()), folder=RunFolder(tmp_path), is_alive=False)
    assert said["data_notes"] == ["3 files were left out"]
