"""What a study file may say about its data."""

import pytest
from pydantic import ValidationError

from trainables.specs.data import AugmentSpec, DataSpec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "keras"}, "name: source 'keras' needs it, got nothing; name one: name: mnist"),
        ({"source": "npz"}, "path or train: source 'npz' needs it, got nothing; give path: data.npz"),
        ({"source": "parquet", "test": "t.parquet"}, "train: source 'parquet' needs it"),
        ({"source": "images"}, "path or train: source 'images' needs it"),
        ({"source": "python"}, "function: source 'python' needs it, got nothing; give function: module:function"),
        ({"source": "digits", "name": "mnist"}, "name: belongs to source 'keras', got 'mnist' with source 'digits'"),
        (
            {"source": "digits", "train": "a"},
            "train: belongs to source 'npz' or 'parquet' or 'images' or 'csv' or 'idx' or 'webdataset' or '",
        ),
        (
            {"source": "npz", "path": "a", "image_column": "x"},
            "image_column: belongs to source 'parquet' or 'csv' or 'webdataset' or 'tfrecord', got 'x'",
        ),
        ({"source": "npz", "path": "a", "test": "b"}, "path: holds all splits, but test came with it"),
        ({"source": "python", "function": "load"}, "function: expected 'module:function', got 'load'"),
        ({"source": "python", "function": "my.py:load-it"}, "function: expected 'module:function'"),
        ({"source": "npz", "path": "s3://bucket/a.npz"}, "got the URL 's3://bucket/a.npz'; copy the data"),
        ({"source": "digits", "image_size": [0, 8]}, "image_size: expected [height, width], each >= 1, got [0, 8]"),
    ],
)
def test_wrong_fields_are_refused_with_what_was_received_and_a_fix(fields, message):
    with pytest.raises(ValidationError) as caught:
        DataSpec(**fields)
    assert message in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(ValidationError) as caught:
        DataSpec(source="keras", path="a", function="b:c")
    text = str(caught.value)
    assert all(part in text for part in ("path: belongs to", "function: belongs to", "name: source 'keras' needs it"))


@pytest.mark.parametrize(
    "fields",
    [
        {"validation_fraction": 0},
        {"validation_fraction": 1},
        {"test_fraction": 1.5},
        {"limit": 0},
        {"memory_gb": -1},
        {"memory_gb": True},
        {"memory_gb": float("nan")},
        {"channels": 2},
        {"image_size": [8]},
        {"unknown": 1},
        {"augment": {"flip": "sideways"}},
        {"augment": {"crop_padding": -1}},
        {"augment": {"rotate_degrees": float("nan")}},
    ],
)
def test_values_out_of_range_are_refused(fields):
    with pytest.raises(ValidationError):
        DataSpec(source="digits", **fields)


def test_written_spec_reads_back_equal():
    spec = DataSpec(source="npz", path="a.npz", image_size=(4, 5), augment=AugmentSpec(flip="both"))
    assert DataSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_relative_paths_start_at_the_study_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    spec = DataSpec(source="parquet", train="a/*.parquet", test="/b.parquet", validation="~/c.parquet", cache_dir="k")
    resolved = spec.resolved(tmp_path)
    assert resolved.train == f"{tmp_path}/a/*.parquet"
    assert resolved.test == "/b.parquet"
    assert resolved.validation == "/home/someone/c.parquet"
    assert resolved.cache_dir == f"{tmp_path}/k"
    assert resolved.path is None
    assert resolved.resolved(tmp_path / "elsewhere") == resolved


def test_function_is_looked_for_beside_the_study_file(tmp_path):
    spec = DataSpec(source="python", function="my_data:load").resolved(tmp_path)
    assert spec.function_dir == str(tmp_path)
    assert DataSpec.model_validate(spec.model_dump()).resolved(tmp_path / "elsewhere") == spec
