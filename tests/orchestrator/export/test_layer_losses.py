"""A layer whose values int8 cannot hold is named, where a file loses too much, and only then."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from orchestrator.export.runtime_lines import runtime_lines
from search_spaces import Variant
from trainables.cards.limits import limits_of
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import ModelExportError
from trainables.exporting import converted
from trainables.exporting.converted import ConvertedFormats
from trainables.exporting.layer_losses import layer_names, layer_of, tensor_losses, worst_layer
from trainables.exporting.runtimes.conversion import Conversion, LayerValues, Source
from trainables.exporting.verify import loses_more
from trainables.specs.data import DataSpec
from trainables.specs.export import FILES, ExportRequest
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

RNG = np.random.default_rng(4)


def outlier_model() -> keras.Model:
    """Returns a model of which layer `outlier` has a channel of 1,000 beside others of about 1; nothing reads it."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 1), name="image")
    values = keras.layers.Rescaling(1 / 16)(image)
    values = keras.layers.Conv2D(4, 3, activation="relu", name="first")(values)
    values = keras.layers.Dense(8, name="outlier")(keras.layers.Flatten()(values))
    values = keras.layers.Dense(8, activation="relu", name="second")(values)
    model = keras.Model(image, keras.layers.Dense(10, activation="softmax", name="label")(values))
    outlier, second = model.get_layer("outlier"), model.get_layer("second")
    weights, bias = outlier.get_weights()
    weights[:, 0], bias[0] = 0.0, 1000.0
    outlier.set_weights([weights, bias])
    weights, bias = second.get_weights()
    weights[0] = 0.0
    second.set_weights([weights, bias])
    return model


@pytest.mark.parametrize("name", ["onnx_int8", "litert_int8", "openvino_int8"])
def test_the_layer_that_int8_cannot_hold_is_named_for_a_file_that_is_left_out_or_not_accepted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = DataSpec(source="digits", limit=200, cache_dir=str(tmp_path / "cache")), outlier_model()
    worker = WorkerSpec(
        dataset=prepare_dataset(data, 3),
        data=data,
        split_seed=3,
        training=TrainingSpec(max_epochs=1, metric="val_accuracy", mode="max"),
        device=DeviceSpec(cpus=1),
        checkpoints=str(tmp_path / "checkpoints"),
    )
    request = ExportRequest(
        study="s",
        rank=1,
        trial="t0",
        variant=Variant(family="sequential", params={}, seed=1),
        epoch=1,
        metrics={},
        formats=(name,),
        folder=str(tmp_path / "export"),
        worker=worker,
        accepted_drop=0.01,
    )
    splits = open_dataset(worker.dataset)
    # Labels as the model has them: it is always right, and int8 is not.
    answers = model.predict(np.asarray(splits.test.images, np.float32), verbose=0).argmax(axis=1).astype(np.int32)
    splits = replace(splits, test=replace(splits.test, labels={"label": answers}))
    formats = ConvertedFormats(model, request, splits=splits, rebuild=lambda _: model, folder=tmp_path)
    reason = rf"{re.escape(FILES[name])}.*allowed is.*; layer outlier loses most \(signal to noise -?\d+\.\d dB\)$"
    with pytest.raises(ModelExportError, match=reason):
        formats.write(name, tmp_path / FILES[name])
    monkeypatch.setattr(converted, "check_quantised", lambda *_, **__: None)
    (tmp_path / "again").mkdir()
    measured: Any = formats.write(name, tmp_path / "again" / FILES[name]).measured
    found = measured["worst_layer"]
    assert found["layer"] == "outlier"
    assert found["signal_to_noise_db"] < 10
    assert runtime_lines({name: measured})[0].endswith(f", {found['words']}")
    sentences = list(limits_of({"runtimes": {name: measured}}, scores={}, found={}))
    assert f"The format {name} loses more than the study accepts: {found['words']}" in sentences
    assert not list(tmp_path.glob(".layers*"))


def values_of(noise: dict[str, float], before: dict[str, tuple[str, ...]]) -> LayerValues:
    """Returns values that differ by 1 from image to image beside a large constant, and so much noise of each tensor."""
    exact = {name: 1e4 + RNG.normal(size=(500, 6)) for name in noise}
    quantised = {name: exact[name] + RNG.normal(scale=scale, size=(500, 6)) for name, scale in noise.items()}
    return LayerValues(exact=exact, quantised=quantised, before=before)


def test_a_layer_loses_what_its_inputs_have_not_lost_before_it() -> None:
    before = {"a": ("image",), "b": ("a",), "hidden": ("b",), "c": ("hidden", "weights"), "d": ("a",), "e": ("c", "d")}
    found = {
        loss.tensor: loss
        for loss in tensor_losses(values_of({"a": 0.1, "b": 0.7, "c": 0.75, "d": 0.1, "e": 0.76}, before))
    }
    assert list(found) == ["a", "b", "c", "d", "e"]
    assert found["a"].decibels == pytest.approx(20, abs=0.5)
    assert found["b"].lost == pytest.approx(0.49 - 0.01, abs=0.05)
    for name in ("a", "c", "d", "e"):
        assert abs(found[name].lost) < 0.15


def test_no_more_than_all_can_be_lost_and_values_that_are_constant_or_not_finite_are_no_error() -> None:
    values = values_of({"a": 3.0, "b": 9.0, "c": 0.0}, {"a": (), "b": ("a",), "c": ()})
    quantised = {**values.quantised, "c": np.full((500, 6), np.nan)}
    exact = {**values.exact, "constant": np.ones((500, 6))}
    quantised["constant"] = np.zeros((500, 6))
    before = {"constant": (), **values.before}
    losses = list(tensor_losses(LayerValues(exact=exact, quantised=quantised, before=before)))
    assert [(loss.tensor, loss.lost) for loss in losses] == [("a", 1.0), ("b", 0.0), ("c", 1.0)]
    other = replace(values, quantised={**quantised, "a": np.zeros((500, 7))}, exact=exact)
    assert [loss.tensor for loss in tensor_losses(other)] == ["b", "c"]
    (same,) = tensor_losses(values_of({"a": 0.0}, {"a": ()}))
    assert (same.lost, same.decibels) == (0.0, pytest.approx(120))


def test_a_tool_that_fails_is_words_and_a_format_without_one_says_nothing(tmp_path: Path) -> None:
    def fail(*_: object) -> Any:
        raise KeyError("no such tensor")

    source = Source(saved_model=tmp_path, inputs=("image",), outputs=("output_0",))
    conversion = Conversion(runtime="own", convert=fail, open=fail)
    assert worst_layer(conversion, source, path=tmp_path, layers=()) == {}
    found = worst_layer(replace(conversion, layer_values=fail), source, path=tmp_path, layers=())
    assert found.keys() == {"words"}
    assert found["words"].startswith("which layer loses most could not be found: ")
    assert "no such tensor" in found["words"]


def test_layers_whose_names_differ_by_a_number_are_not_mistaken_for_each_other() -> None:
    layers = ["dense", "dense_1", "inner", "dense_2"]
    tensors = [f"call/net_1/{name}_1/MatMul:0" for name in layers]
    assert [layer_of(tensor, tensors=tensors, layers=layers) for tensor in tensors] == layers
    plain = [f"net/{name}/MatMul:0" for name in layers]
    assert [layer_of(tensor, tensors=plain, layers=layers) for tensor in plain] == layers
    fused = "call/dense_1/Relu;call/dense_1/BiasAdd"
    assert layer_of(fused, tensors=[fused, "call/dense/MatMul;call/dense/BiasAdd"], layers=layers) == "dense_1"
    assert layer_of("Transpose__55:0", tensors=tensors, layers=layers) == "Transpose__55:0"
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="deep")], name="inner")
    outer = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(2, name="last")])
    assert layer_names(outer) == ["inner", "deep", "last"]


@pytest.mark.parametrize(("most", "is_more"), [(None, False), (0.05, False), (0.01, True), (0.0, True)])
def test_a_study_accepts_what_it_says_of_the_first_metric(most: float | None, *, is_more: bool) -> None:
    task = Task.classification(input_shape=(8, 8, 1), num_classes=3)
    assert loses_more({"accuracy": -0.03, "loss": -9.0}, most=most, task=task) is is_more
    assert not loses_more({"accuracy": 0.03, "loss": 9.0}, most=most, task=task)
