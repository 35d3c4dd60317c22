"""The folders of tables' images are looked for before anything is read, one a split where the study says so."""

from orchestrator.study.input_paths import path_problems
from trainables.specs.data import DataSpec


def test_the_folder_of_each_split_must_exist(tmp_path):
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).touch()
    (tmp_path / "train_images").mkdir()
    spec = DataSpec(source="csv", train="train.csv", test="test.csv", images="{split}_images")
    (problem,) = path_problems(spec, base=tmp_path)
    assert problem.path == "data.images"
    assert problem.message.startswith("no such file or folder, got 'test_images', which is")
    (tmp_path / "test_images").mkdir()
    assert path_problems(spec, base=tmp_path) == []


def test_a_table_without_a_folder_has_its_images_beside(tmp_path):
    (tmp_path / "train.csv").touch()
    assert path_problems(DataSpec(source="csv", train="train.csv"), base=tmp_path) == []
    assert DataSpec(source="csv", train="train.csv", images="a").resolved(tmp_path).images == str(tmp_path / "a")
