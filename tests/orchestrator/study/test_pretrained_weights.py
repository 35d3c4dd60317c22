"""Weights that a study names: files whose hashes become part of variants, and ImageNet's that are fetched before."""

import hashlib
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study, parse_study
from orchestrator.study.pretrained_weights import imagenet_backbones
from orchestrator.study.spec import StudySpec
from search_spaces import make_variant, space_from_mapping
from trainables.catalog.backbones import PretrainedBackbone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with two files of weights in it."""
    (tmp_path / "one.weights.h5").write_bytes(b"one")
    (tmp_path / "two.weights.h5").write_bytes(b"two")
    return tmp_path


def study(folder: Path, params: str, *, family: str = "transfer") -> StudySpec:
    mapping = yaml.safe_load(f"{{name: demo, data: {{source: digits}}, space: {{family: {family}, params: {params}}}}}")
    return parse_study(mapping, base=folder)


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def first_id(spec: StudySpec) -> str:
    return make_variant(spec.space, next(spec.space.grid()), seed=0).variant_id


def test_the_hash_of_a_weights_file_is_part_of_the_variant(folder: Path) -> None:
    spec = study(folder, "{weights: one.weights.h5}")
    assert next(spec.space.grid())["weights_sha256"] == (sha256(b"one"),)
    before = first_id(spec)
    assert first_id(study(folder, "{weights: one.weights.h5}")) == before
    (folder / "one.weights.h5").write_bytes(b"changed")
    changed = study(folder, "{weights: one.weights.h5}")
    assert first_id(changed) != before
    assert changed.study_id != spec.study_id


def test_only_variants_that_begin_with_a_file_have_hashes(folder: Path) -> None:
    spec = study(folder, "{weights: {choice: [none, one.weights.h5, imagenet, two.weights.h5]}}")
    found = [values.get("weights_sha256") for values in spec.space.grid()]
    assert found == [None, (sha256(b"one"), sha256(b"two")), None, (sha256(b"one"), sha256(b"two"))]
    assert "weights_sha256" not in study(folder, "{weights: {choice: [none, imagenet]}}").space.names
    assert "weights_sha256" not in study(folder, "{filters: 8}", family="sequential").space.names


def test_weights_of_other_families_are_theirs(folder: Path) -> None:
    spec = study(
        folder,
        "{weights: {fixed: one.weights.h5, when: {family: transfer}}}",
        family="{choice: [sequential, transfer]}",
    )
    assert [sorted(values) for values in spec.space.grid()] == [["family"], ["family", "weights", "weights_sha256"]]


def test_an_expanded_study_loads_from_elsewhere_and_refuses_a_changed_file(folder: Path, tmp_path: Path) -> None:
    spec = study(folder, "{weights: one.weights.h5}")
    run = tmp_path / "run"
    run.mkdir()
    (run / "study.yaml").write_text(spec.to_yaml())
    assert load_study(run / "study.yaml").study_id == spec.study_id
    (folder / "one.weights.h5").write_bytes(b"changed")
    with pytest.raises(StudyFileError) as refused:
        load_study(run / "study.yaml")
    assert str(refused.value) == (
        f"{run}/study.yaml: space.params.weights: was changed since the study was written: one.weights.h5 has sha256 "
        f"{sha256(b'changed')}, expected {sha256(b'one')}; restore the file, or remove weights_sha256 and run the "
        "study anew: results of other weights cannot be compared"
    )


PROBLEMS = [
    (
        "{weights: onne.weights.h5}",
        "no such file or folder, got 'onne.weights.h5', which is {folder}/onne.weights.h5; "
        "did you mean 'one.weights.h5'?",
    ),
    (
        "{weights: imagnet}",
        "must be 'none', 'imagenet' or a file that ends in .h5, got 'imagnet'; change it",
    ),
    (
        "{weights: model.keras}",
        "must be 'none', 'imagenet' or a file that ends in .h5, got 'model.keras'; change it",
    ),
    ("{weights: folder.h5}", "expected a file, got the folder 'folder.h5'; name the file in it"),
    ("{weights: 3}", "must be a text, got 3; change the domain"),
]


@pytest.mark.parametrize(("params", "words"), PROBLEMS)
def test_weights_that_are_no_file_are_a_mistake_of_the_study(params: str, words: str, folder: Path) -> None:
    (folder / "folder.h5").mkdir()
    with pytest.raises(StudyFileError) as refused:
        study(folder, params)
    assert str(refused.value) == f"study: space.params.weights: {words.format(folder=folder)}"


def test_an_override_names_weights_relative_to_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    spec = load_study("transfer", overrides=["space.params.weights=two.weights.h5"])
    assert spec.space.parameter("weights").domain.values() == [str(folder / "two.weights.h5")]


def backbone(name: str, *, alpha: float = 1.0, side: int = 32) -> PretrainedBackbone:
    return PretrainedBackbone(name=name, alpha=alpha, side=side)


WANTED = [
    # Sides without a file of their own share one; too small images are infeasible anyway.
    ("{weights: imagenet, image_side: {choice: [16, 32, 64]}}", [backbone("MobileNetV2")]),
    (
        "{weights: imagenet, image_side: {int: [32, 130]}}",
        [backbone("MobileNetV2", side=side) for side in (32, 96, 128)],
    ),
    ("{weights: imagenet}", [backbone("MobileNetV2", side=96)]),
    ("{weights: none, backbone: VGG16}", []),
    (
        "{weights: imagenet, image_side: 40, alpha: {float: [0.3, 0.6]}}",
        [backbone("MobileNetV2", alpha=0.35), backbone("MobileNetV2", alpha=0.5)],
    ),
    (
        "{backbone: {choice: [VGG16, ResNet50]}, weights: {choice: [none, imagenet], when: {backbone: VGG16}}}",
        [backbone("VGG16")],
    ),
    (
        "{weights: {choice: [none, imagenet]}, backbone: {choice: [VGG16, Xception], when: {weights: imagenet}}}",
        [backbone("VGG16"), backbone("Xception", side=71)],
    ),
    (
        "{weights: imagenet, image_side: 40, backbone: {choice: [VGG16, MobileNet]}, "
        "alpha: {choice: [0.1, 0.25], when: {backbone: MobileNet}}}",
        [backbone("VGG16"), backbone("MobileNet", alpha=0.25)],
    ),
    ("{weights: imagenet, backbone: MobileNet, image_size: 64}", [backbone("MobileNet")]),
    ("{weights: imagenet, backbone: MobileNet, image_size: {choice: [16, 128]}}", []),
    (
        "{learning_rate: {float: [0.001, 0.1]}, weights: {fixed: imagenet, when: {learning_rate: 0.01}}}",
        [backbone("MobileNetV2", side=96)],
    ),
]


@pytest.mark.parametrize(("params", "expected"), WANTED)
def test_imagenet_weights_are_wanted_where_a_variant_can_have_them(
    params: str, expected: list[PretrainedBackbone]
) -> None:
    space = space_from_mapping(yaml.safe_load(f"{{family: transfer, params: {params}}}"))
    found = imagenet_backbones(space, image_size=(96, 96))
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_spaces_of_other_families_want_no_weights() -> None:
    assert imagenet_backbones(space_from_mapping("cnn-small"), image_size=(96, 96)) == []
