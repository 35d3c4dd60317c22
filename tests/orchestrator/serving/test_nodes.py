"""A node says why it cannot answer with a registry: what it lacks, no registry, or another one."""

from pathlib import Path

import pytest
from served_models import make_registry_of

from orchestrator.serving.on_ray import nodes
from orchestrator.serving.on_ray.nodes import RegistryQuestion, forget_marks, marked, node_problem


def test_a_node_that_finds_the_mark_can_answer_and_one_with_a_copy_cannot(tmp_path: Path) -> None:
    place = str(make_registry_of(tmp_path).path)
    with marked(place) as mark:
        assert node_problem(RegistryQuestion(registry=place, mark=mark)) == ""
        Path(mark).unlink()
        assert "is another registry there than here" in node_problem(RegistryQuestion(registry=place, mark=mark))
    assert node_problem(RegistryQuestion(registry=place, mark="")) == ""
    none = node_problem(RegistryQuestion(registry=str(tmp_path / "none"), mark=""))
    assert "no such registry" in none
    assert "a folder that all nodes mount at the same path, or in S3" in none


def test_a_node_without_the_extra_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "find_spec", lambda name: None if name == "uvicorn" else name)
    question = RegistryQuestion(registry=str(tmp_path), mark="")
    assert node_problem(question) == "uvicorn: not installed there; pip install 'convfleet[serve]' on every node"


def test_marks_go_with_their_server_and_those_of_a_killed_one_with_the_next(tmp_path: Path) -> None:
    with marked(str(tmp_path)):
        assert len(list((tmp_path / ".servers").iterdir())) == 1
    assert not (tmp_path / ".servers").exists()
    (tmp_path / ".servers").mkdir()
    (tmp_path / ".servers/0123").touch()
    forget_marks(str(tmp_path))
    assert not (tmp_path / ".servers").exists()
    with marked("s3://bucket/registry") as mark:
        assert mark == ""
