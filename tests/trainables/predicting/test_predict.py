"""Files of images get the answers of a model that was exported; each file that has none is named with its reason."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from folder_exports import NAMES, NUM_TEST
from made_exports import REAL_RUN
from PIL import Image

from trainables.data.cache.dataset import open_dataset
from trainables.errors import DataError
from trainables.files.manifests import MANIFEST, fingerprints, sealed
from trainables.predicting.answers import answers_of
from trainables.predicting.described import read_export
from trainables.predicting.files import listed_examples, read_examples
from trainables.predicting.predict import _write_masks, predict_in_process, predicted
from trainables.specs.pixels import PixelRule
from trainables.specs.task import Target, Task


def request(export: Any, *paths: Path, **changes: Any) -> dict[str, Any]:
    named = {"export": str(export), "format": None, "paths": list(map(str, paths)), "top": 1, "masks": None}
    return {**named, **changes}


def nothing(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three whole images of the model's size, and four files that it does not take."""
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8)).astype(np.uint8)).save(tmp_path / name)
    Image.new("L", (9, 8)).save(tmp_path / "wide.png")
    Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(tmp_path / "rgb.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def test_each_file_that_is_not_answered_is_named_and_all_others_are_answered(
    folder_export: dict[str, Any], pictures: Path
) -> None:
    folder = folder_export["result"].folder
    (pictures / "empty").mkdir()
    found = predicted(request(folder, pictures, pictures / "none.png", pictures / "empty", top=2), nothing)
    names = [Path(answer["path"]).relative_to(pictures).as_posix() for answer in found["predictions"]]
    assert names == ["a.png", "b.png", "deep/c.png"]
    for answer in found["predictions"]:
        first, second = answer["top"]
        assert (answer["class"], answer["probability"]) == (first["class"], first["probability"])
        assert first["probability"] >= second["probability"]
        assert {first["class"], second["class"]} < set(NAMES)
    problems = {Path(item["path"]).name: item["problem"] for item in found["problems"]}
    assert problems.keys() == {"wide.png", "rgb.png", "torn.png", "none.png", "empty"}
    assert problems["wide.png"] == (
        "is 8x9 (height x width), the model was trained on images of 8x8 that were not resized; resize it first"
    )
    assert problems["rgb.png"].startswith("has 3 channels (colour), the model was trained on images of 1 (grey)")
    assert problems["torn.png"].startswith("cannot be read as an image: ")
    assert problems["none.png"] == "no such file or folder; relative paths start at the current folder"
    assert problems["empty"] == "has no file with the ending of an image; name the files themselves"


def test_pixels_are_those_that_the_study_read(folder_export: dict[str, Any]) -> None:
    export = read_export(Path(folder_export["result"].folder))
    files = listed_examples([str(folder_export["root"] / "data" / "test")], inputs=export.task.inputs)
    read = [images for _, images, refused in read_examples(files, export, at_once=4) if not refused]
    test = open_dataset(folder_export["request"].worker.dataset).test
    assert len(files) == NUM_TEST
    assert np.array_equal(np.concatenate(read), np.asarray(test.images)[np.asarray(test.indices)])


@pytest.fixture
def pairs(folder_export: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Has the export take a left and a right image; keeps the pixels that its model was asked for."""
    one, asked = read_export(Path(folder_export["result"].folder)), []
    export = replace(one, task=replace(one.task, inputs=("left", "right")))

    def predict(images: Any) -> dict[str, Any]:
        asked.extend(images)
        return {one.task.targets[0].name: np.full((len(images), len(NAMES)), 1 / len(NAMES))}

    monkeypatch.setattr("trainables.predicting.predict.read_export", lambda _: export)
    monkeypatch.setattr("trainables.predicting.predict.open_export", lambda *_, **__: predict)
    return asked


def grey(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)
    return path


def test_files_of_one_name_in_a_folder_for_each_input_belong_together(pairs: list[Any], tmp_path: Path) -> None:
    left, right = tmp_path / "left", tmp_path / "right"
    for number, (one, other) in enumerate([("b.png", "b.png"), ("a.png", "a.bmp"), ("deep/c.png", "deep/c.png")]):
        grey(left / one, 10 + number)
        grey(right / other, 100 + number)
    for path in (left / "twice.png", left / "twice.bmp", right / "twice.png", left / "d.png", right / "deep/e.png"):
        grey(path, 0)
    found = predicted(request("export", left, right), nothing)
    assert [answer["inputs"] for answer in found["predictions"]] == [
        {"left": str(left / one), "right": str(right / other)}
        for one, other in (("a.png", "a.bmp"), ("b.png", "b.png"), ("deep/c.png", "deep/c.png"))
    ]
    assert [answer["path"] for answer in found["predictions"]] == [
        answer["inputs"]["left"] for answer in found["predictions"]
    ]
    assert [image[0, 0].tolist() for image in pairs] == [[11, 101], [10, 100], [12, 102]]
    assert {(Path(item["path"]).relative_to(tmp_path).as_posix(), item["problem"]) for item in found["problems"]} == {
        ("left/twice.png", "is one of several files called twice"),
        ("left/twice.bmp", "is one of several files called twice"),
        ("right/twice.png", "is one of several files called twice"),
        ("left/d.png", f"has no counterpart in {right}"),
        ("right/deep/e.png", f"has no counterpart in {left}"),
    }


def test_a_file_for_each_input_is_one_example_and_none_where_one_cannot_be_read(
    pairs: list[Any], tmp_path: Path
) -> None:
    one, other = grey(tmp_path / "one.png", 1), grey(tmp_path / "other.png", 2)
    (answer,) = predicted(request("export", one, other), nothing)["predictions"]
    assert answer["inputs"] == {"left": str(one), "right": str(other)}
    assert pairs[0][0, 0].tolist() == [1, 2]
    other.write_bytes(other.read_bytes()[:50])
    found = predicted(request("export", one, other), nothing)
    assert (found["predictions"], len(pairs)) == ([], 1)
    assert [item["path"] for item in found["problems"]] == [str(other)]


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "a.png", "a.png"], ["a.png", "."]])
def test_paths_that_are_not_one_for_each_input_are_refused(pairs: list[Any], tmp_path: Path, names: list[str]) -> None:
    grey(tmp_path / "a.png", 1)
    message = (
        "the model takes 2 images an example; give 2 files, or 2 folders with files of equal names, in the order left"
    )
    with pytest.raises(DataError, match=message):
        predicted(request("export", *(tmp_path / name for name in names)), nothing)


def test_own_runtime_gives_the_answers_of_keras_and_no_process_of_it_can_import_tensorflow(
    folder_export: dict[str, Any], pictures: Path
) -> None:
    folder = folder_export["result"].folder
    by_keras = predicted(request(folder, pictures / "a.png", top=3), nothing)["predictions"]
    found = predict_in_process(request(folder, pictures / "a.png", top=3, format="onnx"))
    assert found["format"] == "onnx"
    assert [item["class"] for item in found["predictions"][0]["top"]] == [item["class"] for item in by_keras[0]["top"]]
    assert found["predictions"][0]["probability"] == pytest.approx(by_keras[0]["probability"], abs=1e-5)
    code = "import sys, trainables.predicting.predict; print([n for n in ('tensorflow', 'keras') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "onx"},
            r"^format: must be one of keras, .*, got 'onx'; the export has keras, .*mean 'onnx'",
        ),
        ({"masks": "masks"}, r"^masks: .* predicts no masks; drop --masks"),
        ({"export": "no-such-folder"}, r"^no-such-folder: no such folder; give the folder of an export"),
    ],
)
def test_what_cannot_be_asked_of_an_export_is_refused(
    folder_export: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        predicted({**request(folder_export["result"].folder), **changes}, nothing)


def test_kept_export_without_the_newer_keys_takes_images_of_any_size(tmp_path: Path) -> None:
    export = read_export(REAL_RUN / "exports" / "1-t0000")
    assert export.formats == ("keras", "saved_model")
    assert (export.takes_any_size, export.takes_any_colors, export.layout.pages) == (True, True, "refuse")
    assert export.task.targets[0].metrics == ("accuracy",)
    with pytest.raises(DataError, match=r"^format: .* lacks onnx; the export has keras, saved_model$"):
        export.chosen_format("onnx")


def test_damaged_or_strange_exports_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"model")
    with pytest.raises(DataError, match=r"has no manifest.json; give the folder of an export, such as runs/"):
        read_export(tmp_path)
    content = sealed({"schema": 3, "files": fingerprints(tmp_path)})
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"has schema 3, expected 2"):
        read_export(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"MODEL")
    with pytest.raises(DataError, match=r"model.keras is not as it was exported; make it anew with `convfleet export"):
        read_export(tmp_path)


def test_exact_rule_of_the_study_comes_from_the_manifest(folder_export: dict[str, Any]) -> None:
    assert read_export(Path(folder_export["result"].folder)).layout.rule == PixelRule()


TARGETS = (
    Target(name="animal", kind="classification", size=2, class_names=("cat", "dog"), loss="x", metrics=()),
    Target(name="seen", kind="multilabel", size=2, class_names=("fur", "tail"), loss="x", metrics=()),
    Target(name="age", kind="regression", size=1, loss="x", metrics=()),
    Target(name="where", kind="mask", size=2, class_names=("ground", "cell"), loss="x", metrics=()),
)
OUTPUTS = {
    "animal": np.array([0.25, 0.75]),
    "seen": np.array([0.5, 0.25]),
    "age": np.array([4.5]),
    "where": np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.9, 0.1]]]),
}


def test_each_kind_of_target_answers_in_names_and_several_in_the_order_of_the_manifest() -> None:
    found = answers_of(OUTPUTS, task=Task(input_shape=(2, 2, 1), targets=TARGETS), top=1)["targets"]
    assert list(found) == ["animal", "seen", "age", "where"]
    assert found["animal"] == {"class": "dog", "probability": 0.75, "top": [{"class": "dog", "probability": 0.75}]}
    assert found["seen"] == {"flags": ["fur"], "top": [{"class": "fur", "probability": 0.5}]}
    assert found["age"] == {"values": [4.5]}
    assert found["where"] == {"pixels": [{"class": "ground", "share": 0.75}, {"class": "cell", "share": 0.25}]}


def test_masks_of_images_with_long_names_are_written_and_a_folder_that_takes_none_is_named(tmp_path: Path) -> None:
    target = Target(name="where", kind="mask", size=2, class_names=("ground", "cell"), loss="x", metrics=())
    export: Any = SimpleNamespace(task=Task(input_shape=(2, 2, 1), targets=(target,)))
    outputs = {"where": np.eye(2)[np.array([[0, 1], [1, 0]])]}
    long = Path("é" * 120 + ".png")
    written = _write_masks(tmp_path, outputs, export, place=3, path=long)["masks"]["where"]
    assert np.asarray(Image.open(written)).tolist() == [[0, 1], [1, 0]]
    assert Path(written).name.startswith("000003-éé")
    with pytest.raises(DataError, match=r"^masks: .*gone/000000-a-where.png cannot be written \(No such file or dir"):
        _write_masks(tmp_path / "gone", outputs, export, place=0, path=Path("a.png"))
