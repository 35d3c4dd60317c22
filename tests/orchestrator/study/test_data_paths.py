"""Where a study's paths of data start, and which of them are left to the reader."""

import pytest

from orchestrator.errors import InputError
from orchestrator.study.loading import load_study


def study(data: str) -> str:
    return f"name: demo\ndata: {data}\nspace: {{family: sequential, params: {{filters: 8}}}}\n"


def test_path_with_glob_characters_and_a_missing_cache_folder_are_left_to_the_reader(tmp_path) -> None:
    path = tmp_path / "glob.yaml"
    path.write_text(study("{source: parquet, train: 'part-*.parquet', cache_dir: not-yet}"), encoding="utf-8")
    assert load_study(path).data.source == "parquet"


def test_data_path_starts_at_the_study_file_and_an_override_at_the_current_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.npz").touch()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "here.npz").touch()
    path = tmp_path / "half" / "npz.yaml"
    path.write_text(study("{source: npz, path: here.npz}"), encoding="utf-8")
    assert load_study(path).data.path == str(tmp_path / "half" / "here.npz")
    assert load_study(path, overrides=["data.path=digits.npz"]).data.path == str(tmp_path / "digits.npz")
    with pytest.raises(InputError):
        load_study(path, overrides=["data.path=here.npz"])
