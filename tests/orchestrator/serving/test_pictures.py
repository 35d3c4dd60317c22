"""A server reads pictures as the training read them, and refuses others in words."""

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_exports import write_export
from PIL import Image
from served_models import HOST, fake_runtime, picture_of, settings_of

from orchestrator.registry.registry import Registry
from orchestrator.serving.described import described_version, formats_by_speed
from orchestrator.serving.pictures import picture_pixels
from orchestrator.serving.protocol import RequestRefusedError
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.exporting.manifest import _samples
from trainables.predicting.reading import reading_of
from trainables.specs.data import DataSpec


def made_pictures(folder: Path, kind: str) -> None:
    """Writes pictures of two classes: photos of several sizes, some turned; shapes in alpha; or 12 bits in 16."""
    generator = np.random.default_rng(5)
    for number in range(12):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = generator.integers(9, 40, 2)
        match kind:
            case "photos":
                picture = Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
                exif = Image.Exif()
                exif[0x0112] = int(generator.integers(1, 9))
                picture.save(path.with_suffix(".jpg"), "JPEG", exif=exif)
            case "alpha":
                pixels = np.zeros((height, width, 4), np.uint8)
                pixels[..., 3] = generator.integers(0, 2, (height, width)) * 255
                Image.fromarray(pixels).save(path)
            case "deep":
                Image.fromarray(generator.integers(0, 3000, (height, width), dtype=np.uint16)).save(path)


@pytest.mark.parametrize("kind", ["photos", "alpha", "deep"])
def test_pictures_become_the_pixels_that_the_training_saw(kind: str, tmp_path: Path) -> None:
    made_pictures(tmp_path / "pictures", kind)
    spec = DataSpec(
        source="images", path=str(tmp_path / "pictures"), image_size=(10, 12), cache_dir=str(tmp_path / "cache")
    )
    info = prepare_dataset(spec, 1)
    data = open_dataset(info)
    splits = (data.train, data.validation, data.test)
    seen = {np.asarray(split.images[row]).tobytes() for split in splits for row in split.indices}
    shape = [None, *info.task.input_shape]
    described = described_of(
        tmp_path,
        inputs=[{"name": "image", "shape": shape}],
        preprocessing=_samples(info.pixel_rule),
    )
    files = [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]
    found = {picture_pixels(path.read_bytes(), described=described).tobytes() for path in files}
    assert found == seen
    assert len(found) == 12


def described_of(folder: Path, **manifest: Any) -> Any:
    registry = Registry(folder / "registry")
    version = registry.add(write_export(folder / "export", **manifest), name="digits", alias="production")
    return described_version(version, registry.manifest(version))


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 400, "the picture cannot be read as an image: the file is empty"),
        (b"<html></html>", 400, "it is a web page"),
        (picture_of(GREY)[:-30], 400, "the picture cannot be read as an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", 400, "it is PostScript or PDF, which is not decoded"),
    ],
    ids=["nothing", "a web page", "a torn file", "a program"],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, status: int, message: str) -> None:
    with pytest.raises(RequestRefusedError, match=message) as refused:
        picture_pixels(content, described=described_of(tmp_path))
    assert refused.value.status == status


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, 8000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 20_000
    with pytest.raises(RequestRefusedError, match="has 8000x8000 pixels, more than 50,000,000") as refused:
        picture_pixels(buffer.getvalue(), described=described_of(tmp_path))
    assert refused.value.status == 413


def test_a_model_that_was_trained_without_resizing_refuses_other_sizes_and_colours(tmp_path: Path) -> None:
    reading = {"takes_any_size": False, "takes_any_colors": False}
    described = described_of(tmp_path, preprocessing={"reading": reading})
    assert picture_pixels(picture_of(GREY), described=described).tolist() == GREY.reshape(1, 8, 8, 1).tolist()
    with pytest.raises(RequestRefusedError, match=r"is 4x8 \(height x width\), digits was trained on images of 8x8"):
        picture_pixels(picture_of(GREY[:4]), described=described)
    with pytest.raises(RequestRefusedError, match="has colours, digits was trained on grey images"):
        picture_pixels(picture_of(np.stack([GREY, GREY, GREY * 2], axis=-1)), described=described)


def test_a_model_of_several_images_takes_tensors_only(tmp_path: Path) -> None:
    inputs = [{"name": name, "shape": [None, 8, 8, 1]} for name in ("left", "right")]
    with pytest.raises(RequestRefusedError, match=r"digits takes 2 images \(left, right\), a picture is one"):
        picture_pixels(picture_of(GREY), described=described_of(tmp_path, inputs=inputs))


OUTPUTS = [
    {"name": "kind", "kind": "classification", "shape": [None, 2], "class_names": ["cat", "dog"]},
    {"name": "signs", "kind": "multilabel", "shape": [None, 2], "class_names": ["ill", "old"]},
    {"name": "weight", "kind": "regression", "shape": [None, 1], "class_names": []},
    {"name": "parts", "kind": "mask", "shape": [None, 1, 2, 2], "class_names": ["none", "eye"]},
]


@pytest.fixture
def answer(tmp_path: Path) -> Iterator[Any]:
    """The answer for one picture of a model with a target of each kind."""
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from orchestrator.serving.application import application_of
    from orchestrator.serving.batches import NamedArrays

    described_of(tmp_path, outputs=OUTPUTS)
    given: NamedArrays = {
        "kind": np.array([[0.25, 0.75]]),
        "signs": np.array([[0.5, 0.25]]),
        "weight": np.array([[4.5]]),
        "parts": np.array([[[[0.75, 0.25], [0.25, 0.75]]]]),
    }
    with fake_runtime() as fake:
        fake.predict = lambda version, images: given
        fake.outputs = OUTPUTS
        with TestClient(application_of(settings_of(Registry(tmp_path / "registry"))), base_url=HOST) as client:
            yield client.post("/v2/models/digits/picture", content=picture_of(GREY)).json()


def test_an_answer_has_the_words_of_each_target(answer: Any) -> None:
    assert answer == {
        "model_name": "digits",
        "model_version": "1",
        "targets": {
            "kind": {"class": "dog", "probability": 0.75, "probabilities": {"cat": 0.25, "dog": 0.75}},
            "signs": {"flags": ["ill"], "probabilities": {"ill": 0.5, "old": 0.25}},
            "weight": {"values": [4.5]},
            "parts": {"class_names": ["none", "eye"], "classes": [[0, 1]]},
        },
    }


def latency(seconds: float) -> Any:
    return {"latency_seconds": {"1": {"p50": 1.0}, "32": {"p50": seconds, "p95": 9.0}}}


def test_the_format_that_its_export_measured_as_fastest_comes_first_and_those_of_tensorflow_last() -> None:
    runtimes = {"onnx": latency(0.2), "openvino": latency(0.1), "litert": latency(0.3)}
    formats = ["keras", "saved_model", "litert", "onnx", "openvino"]
    assert formats_by_speed(formats, runtimes=runtimes) == ("openvino", "onnx", "litert", "keras", "saved_model")
    assert formats_by_speed(["keras", "onnx"], runtimes=runtimes) == ("onnx", "keras")
    # Without a measurement nobody knows.
    assert formats_by_speed(["keras", "onnx"], runtimes={}) == ("keras",)


def test_a_runtime_that_is_not_installed_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("orchestrator.serving.described.find_spec", lambda name: None)
    assert formats_by_speed(["keras", "onnx"], runtimes={"onnx": latency(0.2)}) == ("keras",)
    version = described_of(tmp_path).version
    bare = dataclasses.replace(version, files={"model.onnx": version.files["model.keras"]})
    message = re.escape("digits version 1: none of its formats (onnx) can be loaded here; install the extra of one")
    with pytest.raises(Exception, match=message):
        described_version(bare, {"inputs": [{"name": "image", "shape": [None, 8, 8, 1]}], "outputs": OUTPUTS})


@pytest.mark.parametrize("pixel_range", ["auto", "full", (0.0, 50.0)])
def test_a_manifest_without_the_exact_rule_limits_samples_where_the_study_did(tmp_path: Path, pixel_range: Any) -> None:
    made_pictures(tmp_path / "pictures", "deep")
    spec = DataSpec(
        source="images",
        path=str(tmp_path / "pictures"),
        image_size=(8, 8),
        pixel_range=pixel_range,
        cache_dir=str(tmp_path / "cache"),
    )
    preprocessing = _samples(prepare_dataset(spec, 1).pixel_rule)
    described = described_of(tmp_path, preprocessing=preprocessing)
    content = picture_of(np.linspace(0, 255, 64, dtype=np.float32).reshape(8, 8), "TIFF")
    if pixel_range == (0.0, 50.0):
        assert picture_pixels(content, described=described)[0, -1, -1, 0] == 255
    else:
        with pytest.raises(RequestRefusedError, match=r"expected float pixels in 0..1, got 0..255"):
            picture_pixels(content, described=described)
    assert reading_of(preprocessing, shape=(8, 8, 1)).layout.rule.byte == tuple(preprocessing["pixel_range"]["8 bits"])
