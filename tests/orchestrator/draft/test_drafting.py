"""A drafted study is a whole study file with a reason for each choice, whatever the data and its names are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import convfleet
from orchestrator.draft.choice import Choice
from orchestrator.draft.drafting import draft_study, overridden, study_name
from orchestrator.draft.text import study_mapping, study_text
from orchestrator.errors import InputError
from orchestrator.study.loading import load_study
from trainables.data.cache.prepare import prepare_dataset


def draw_shapes(root: Path, *, count: int = 20) -> Path:
    """Draws circles, squares and crosses of any colour on noise, each in the folder of its name."""
    draw = np.random.default_rng(0)
    for name in ("circle", "square", "cross"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(draw.integers(0, 90, (32, 24, 3), dtype=np.uint8))
            pen, colour = ImageDraw.Draw(image), tuple(int(value) for value in draw.integers(120, 255, 3))
            x, y, size = (int(draw.integers(*ends)) for ends in ((7, 17), (8, 24), (4, 7)))
            box = [x - size, y - size, x + size, y + size]
            if name == "circle":
                pen.ellipse(box, fill=colour)
            elif name == "square":
                pen.rectangle(box, fill=colour)
            else:
                pen.line([x - size, y, x + size, y], fill=colour, width=3)
                pen.line([x, y - size, x, y + size], fill=colour, width=3)
            image.save(root / name / f"{number}.png")
    return root


def test_file_that_init_writes_is_the_study_that_python_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw_shapes(tmp_path / "shapes")
    draft = draft_study(Path("shapes"), minutes=5, label=None, base=tmp_path)
    (tmp_path / "shapes.yaml").write_text(draft.text)
    assert load_study("shapes.yaml") == draft.spec == convfleet.study_for("shapes", minutes=5)
    assert (draft.spec.name, draft.spec.search.minutes) == ("shapes", 4.0)
    assert "  path: shapes\n" in draft.text  # relative: the folder may move with the file
    assert all(choice.reason for choice in draft.choices if choice.key not in ("name", "seed", "data.path"))
    assert overridden(draft, overrides=["search.trials=3"]).num_trials == 3


def test_data_elsewhere_is_named_by_its_whole_path(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "far" / "shapes", count=8)
    (tmp_path / "here").mkdir()
    draft = draft_study(tmp_path / "far" / "shapes", minutes=5, label=None, base=tmp_path / "here")
    assert f"  path: {tmp_path}/far/shapes\n" in draft.text


@pytest.mark.parametrize(
    ("minutes", "has_class", "message"),
    [
        (0.0, True, r"--minutes: expected a number above 0, got 0.0; for example --minutes 10"),
        (float("nan"), True, r"--minutes: expected a number above 0, got nan"),
        (5.0, False, r"expected at least two classes, got only 'circle'"),
    ],
)
def test_what_cannot_be_drafted_is_an_input_error(
    tmp_path: Path, minutes: float, has_class: bool, message: str
) -> None:
    draw_shapes(tmp_path / "shapes", count=4)
    if not has_class:
        for name in ("square", "cross"):
            for path in (tmp_path / "shapes" / name).iterdir():
                path.unlink()
            (tmp_path / "shapes" / name).rmdir()
    with pytest.raises(InputError, match=message):
        convfleet.study_for(tmp_path / "shapes", minutes=minutes)


@pytest.mark.parametrize("place", ["shapes", "shapes.csv", "shapes.npz"])
def test_classes_of_unequal_sizes_are_read_as_drafted(place: str, tmp_path: Path) -> None:
    for name, count in (("circle", 80), ("square", 5)):
        folder = tmp_path / "shapes" / name
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((8, 8), 3 * number + len(name), np.uint8)).save(folder / f"{number}.png")
    paths = sorted((tmp_path / "shapes").rglob("*.png"))
    rows = [f"{path.relative_to(tmp_path / 'shapes').as_posix()},{path.parent.name}" for path in paths]
    (tmp_path / "shapes.csv").write_text("\n".join(["file,kind", *rows]) + "\n")
    labels = np.array([path.parent.name for path in paths])
    np.savez(tmp_path / "shapes.npz", x=np.stack([np.asarray(Image.open(path)) for path in paths]), y=labels)
    spec = draft_study(tmp_path / place, minutes=5, label=None, base=tmp_path).spec
    assert spec.objective.metric == "val_f1_score"
    dataset = prepare_dataset(spec.data, spec.seed)
    (target,) = dataset.task.targets
    assert (target.class_names, target.metrics) == (("circle", "square"), ("f1_score", "accuracy"))


def test_names_from_outside_neither_break_nor_end_a_comment() -> None:
    choice = Choice(key="data.path", value="a: b # c", reason="class 'x\nseed: 9\u2028y' " + "long " * 60)
    text = study_text([choice], lead=["folder\rname: evil"])
    (tmp_lines, values) = ([line for line in text.splitlines() if "#" in line[:3]], text.splitlines()[-1])
    assert values == "  path: 'a: b # c'"
    assert len(tmp_lines) == len(text.splitlines()) - 2
    assert study_mapping([choice]) == {"data": {"path": "a: b # c"}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/my flowers", "my-flowers"),
        ("birds/train.csv", "birds"),
        ("a/x.tar.gz", "x"),
        ("/", "study"),
        ("/data/-..-", "study"),
        ("a/Blüten", "Bl-ten"),
    ],
)
def test_study_is_named_for_its_data(path: str, expected: str) -> None:
    assert study_name(Path(path)) == expected


@pytest.mark.slow
def test_run_of_a_folder_ends_in_its_time_and_exports(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "shapes", count=40)
    command = [sys.executable, "-m", "convfleet", "run", "shapes", "--minutes", "1", "--set", "export.formats=[keras]"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert "  # folders of pictures, one a class\n  source: images\n  path: shapes\n" in ended.stdout
    result = convfleet.open_run(tmp_path / "runs" / "shapes")
    state = result.state
    # Nothing began after the search's 36 seconds, but for the first trials of a machine that is busy.
    limit = state.sessions[0].began_at + 36
    assert all(trial.proposed_at <= limit or trial.number == 0 for trial in state.trials.values())
    assert state.finished is not None
    assert (len(state.trials) == state.header.num_trials) or state.finished.reason.startswith("search.minutes: ")
    (export,) = state.exports
    assert (result.folder.root / export.folder / "model.keras").is_file()
    assert load_study(result.folder.study).search.minutes == 0.6
