"""An export scores on its own test split what its manifest says, from whichever source and by whichever format."""

import json
from pathlib import Path
from typing import Any

import pytest
from folder_exports import NAMES, NUM_TEST, NUM_TRAIN, write_folders

from trainables.errors import DataError
from trainables.predicting.described import read_export
from trainables.predicting.evaluate import evaluated
from trainables.predicting.places import data_spec


def nothing(stage: str, done: int, total: int) -> None:
    pass


def place(path: Any, **changes: Any) -> dict[str, Any]:
    return {"path": str(path), "source": None, "label": None, "changes": {}, **changes}


def evaluation(made: dict[str, Any], data: Any, **changes: Any) -> dict[str, Any]:
    study = {"data": made["data"].model_dump(mode="json"), "seed": made["seed"]}
    request = {"export": made["result"].folder, "format": None, "data": data, "split": None, "study": study}
    return evaluated({**request, "allows_missing": False, **changes}, nothing)


def as_table(folder: Path, file: Path) -> Path:
    rows = [f"{path.relative_to(file.parent)},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    # Backwards: no class has the place that the folders give it.
    file.write_text("\n".join(["file,label", *reversed(rows)]), encoding="utf-8")
    return file


def test_own_test_split_gives_the_metrics_of_the_manifest_to_the_last_digit(folder_export: dict[str, Any]) -> None:
    manifest = json.loads((Path(folder_export["result"].folder) / "manifest.json").read_text(encoding="utf-8"))
    root = folder_export["root"] / "data"
    ways = {
        "the run's own split": (None, {}),
        "its folder": (place(root / "test"), {}),
        "its folder beside the training folder": (place(root, source="images"), {"split": "test"}),
    }
    found = {name: evaluation(folder_export, data, **changes) for name, (data, changes) in ways.items()}
    assert {name: one["metrics"] for name, one in found.items()} == dict.fromkeys(ways, manifest["test_metrics"])
    for one in found.values():
        scores = one["targets"]["label"]
        assert scores["share"]["interval"] == list(one["intervals"]["accuracy"])
        assert [item["name"] for item in scores["classes"]] == sorted(NAMES)
        assert (scores["total"], sum(map(sum, scores["confusion"]))) == (NUM_TEST, NUM_TEST)
        assert one["training_images"] == {"compared": True, "shared": 0, "examples": []}


def test_table_in_another_order_of_rows_gives_the_same_but_for_the_last_digit_of_a_sum(
    folder_export: dict[str, Any],
) -> None:
    root, known = folder_export["root"] / "data", folder_export["result"].test_metrics
    found = evaluation(folder_export, place(as_table(root / "test", root / "table.csv")))["metrics"]
    assert found["accuracy"] == known["accuracy"]
    assert found["loss"] == pytest.approx(known["loss"], rel=1e-6)


def test_other_formats_give_the_metrics_that_they_gave_when_the_model_was_exported(
    folder_export: dict[str, Any],
) -> None:
    found = evaluation(folder_export, None, format="onnx")
    assert found["metrics"] == folder_export["result"].runtimes["onnx"]["test_metrics"]
    served = evaluation(folder_export, None, format="saved_model")["metrics"]
    assert served["accuracy"] == folder_export["result"].test_metrics["accuracy"]
    assert served["loss"] == pytest.approx(folder_export["result"].test_metrics["loss"], rel=1e-6)


def test_images_that_the_model_was_trained_on_are_counted_and_named(folder_export: dict[str, Any]) -> None:
    found = evaluation(folder_export, place(folder_export["root"] / "data" / "train"))
    known = found["training_images"]
    assert (known["compared"], known["shared"], len(known["examples"])) == (True, NUM_TRAIN, 5)
    assert Path(known["examples"][0]).is_file()


def test_nothing_is_claimed_of_training_images_that_are_not_known(folder_export: dict[str, Any]) -> None:
    found = evaluation(folder_export, place(folder_export["root"] / "data" / "test"), study=None)
    assert found["training_images"] == {
        "compared": False,
        "reason": "the export lies in no run folder, so that its training images are not known",
    }
    with pytest.raises(
        DataError, match=r"^data: the export lies in no run folder, .*; name labelled images with --data"
    ):
        evaluation(folder_export, None, study=None)


def test_study_whose_images_changed_is_no_test_split_of_the_model(folder_export: dict[str, Any]) -> None:
    other = {"data": folder_export["data"].model_dump(mode="json"), "seed": folder_export["seed"] + 1}
    with pytest.raises(DataError, match=r"not those that the model was trained on \(fingerprint .*, expected"):
        evaluation(folder_export, None, study=other)


def test_data_that_the_model_does_not_fit_is_refused(folder_export: dict[str, Any], tmp_path: Path) -> None:
    write_folders(tmp_path / "cats", names=("zebra", "cat"), count=6, seed=2)
    with pytest.raises(DataError, match=r"does not know 1 of the labels' 2 classes: 'cat'; its classes are '<b>ape'"):
        evaluation(folder_export, place(tmp_path / "cats"))
    with pytest.raises(DataError, match=r"^split: the data has train, test, got 'validation'; name one of these"):
        evaluation(folder_export, place(folder_export["root"] / "data", source="images"), split="validation")
    (tmp_path / "cats" / "zebra" / "000.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"000.png: cannot be read as an image: it is not a whole image"):
        evaluation(folder_export, place(tmp_path / "cats"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "none"}, r"none: no such file or folder; relative paths start at the current folder$"),
        (
            {"path": "none", "source": "csv"},
            r"^none: no such file or folder; relative paths start at the current folder$",
        ),
        ({"source": "jpg"}, r"^source: must be one of digits, keras, .*, got 'jpg'$"),
        ({"source": "images", "changes": {"imags": 1}}, r"^data.imags: Extra inputs are not permitted, got 1$"),
        ({"source": "images", "changes": {"name": "mnist"}}, r"^data.name: belongs to source 'keras', got 'mnist'"),
    ],
)
def test_places_without_labelled_images_are_refused(
    folder_export: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    export = read_export(Path(folder_export["result"].folder))
    with pytest.raises(DataError, match=message):
        data_spec({**place(folder_export["root"] / "data" / "test"), **changes}, export)


def test_columns_of_a_table_are_found_or_named(folder_export: dict[str, Any], tmp_path: Path) -> None:
    export = read_export(Path(folder_export["result"].folder))
    table = as_table(folder_export["root"] / "data" / "test", folder_export["root"] / "data" / "named.csv")
    table.write_text(table.read_text(encoding="utf-8").replace("file,label", "file,animal"), encoding="utf-8")
    found = data_spec(place(table), export)
    assert (found.source, found.image_column, found.label_column, found.targets) == ("csv", "file", "animal", {})
    changed = data_spec(place(table, source="csv", label="animal", changes={"image_column": "file"}), export)
    assert (changed.image_column, changed.label_column) == ("file", "animal")
