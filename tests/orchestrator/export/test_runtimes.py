"""Formats of other runtimes: their ends by name, refusals in words, damage that is found, packages that are missing."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study
from search_spaces import Variant
from trainables.errors import ModelExportError
from trainables.exporting.converted import VerifiedFile
from trainables.exporting.float32_twin import float32_twin, half_precision
from trainables.exporting.formats import write_saved_model
from trainables.exporting.runtimes import measuring
from trainables.exporting.runtimes.calibration import calibration_batches, calibration_rows
from trainables.exporting.runtimes.conversion import Source
from trainables.exporting.runtimes.conversions import CONVERSIONS
from trainables.exporting.runtimes.operators import operations_in, unknown_operations
from trainables.exporting.runtimes.own_process import ProcessResult, run_in_own_process, write_images
from trainables.exporting.verify import check_answers, check_drop, check_outputs
from trainables.exporting.writing import write_formats
from trainables.families.building import build_model
from trainables.opening.opened_model import open_converted
from trainables.specs import export as export_specs
from trainables.specs.export import FACTS, FILES, Answers
from trainables.specs.task import Target, Task

RUNTIMES = ("litert", "onnx", "openvino")
INT8 = ("litert_int8", "onnx_int8", "openvino_int8")
#: Neither the inputs nor the outputs are in the alphabet's order.
NAMES = {"inputs": ("pixels", "mask"), "outputs": ("zebra", "ape", "newt")}
TASK = Task(
    input_shape=(8, 8, 1),
    inputs=NAMES["inputs"],
    targets=tuple(
        Target(name=name, kind="regression", size=size, loss="mse", metrics=("mae",))
        for size, name in enumerate(NAMES["outputs"], start=1)
    ),
)
IMAGES = {
    name: np.random.default_rng(seed).uniform(0, 255, (5, 8, 8, 1)).astype(np.float32)
    for seed, name in enumerate(NAMES["inputs"])
}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Of two inputs and three outputs, each of which depends on the inputs in another way."""
    keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((8, 8, 1), name=name) for name in NAMES["inputs"]}
    features = [
        keras.layers.Flatten()(keras.layers.Conv2D(width, 3)(keras.layers.Rescaling(1 / 255)(inputs[name])))
        for width, name in enumerate(NAMES["inputs"], start=2)
    ]
    joined = keras.layers.Dense(64, activation="gelu")(keras.layers.Concatenate()(features))
    return keras.Model(inputs, {name: keras.layers.Dense(n)(joined) for n, name in enumerate(NAMES["outputs"], 1)})


@pytest.fixture(scope="module")
def source(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("source") / "saved_model"
    write_saved_model(model, path, TASK)
    return Source(saved_model=path, **NAMES)


@pytest.fixture(scope="module", params=RUNTIMES)
def written(request: pytest.FixtureRequest, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A format's name and its file."""
    path = tmp_path_factory.mktemp("written") / FILES[request.param]
    CONVERSIONS[request.param].convert(source, path)
    return request.param, path


def run(form: str, path: Path, *, folder: Path) -> ProcessResult:
    write_images(folder, IMAGES)
    return run_in_own_process({"format": form, "path": str(path), "threads": 1, **NAMES}, folder=folder)


def test_several_inputs_and_outputs_keep_their_names_and_their_meaning(
    model: keras.Model, written: tuple[str, Path], tmp_path: Path
) -> None:
    found = run(*written, folder=tmp_path)
    assert check_outputs(model.predict(IMAGES, verbose=0), found.outputs, what="file") <= 1e-5
    assert found.measured["settings"]["threads"] == 1
    assert found.measured["latency_seconds"].keys() == {"1", "32"}
    assert 0 < found.measured["load_seconds"] < 600
    assert found.measured["peak_memory_bytes"] > 1e7


def test_an_opened_file_checks_its_images_and_predicts_any_number_of_them_from_several_threads(
    model: keras.Model, written: tuple[str, Path]
) -> None:
    form, path = written
    inputs = [{"name": name, "shape": [None, 8, 8, 1]} for name in NAMES["inputs"]]
    opened = open_converted(path.parent, form=form, inputs=inputs, threads=1)
    counts = [1, 5, 2, 3, 300, 4, 1, 5]
    images = [{name: np.resize(array, (count, 8, 8, 1)) for name, array in IMAGES.items()} for count in counts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(opened.predict, images))
    joined = {name: np.concatenate([outputs[name] for outputs in found]) for name in NAMES["outputs"]}
    given = {name: np.concatenate([arrays[name] for arrays in images]) for name in NAMES["inputs"]}
    assert check_outputs(model.predict(given, verbose=0), joined, what="file") <= 1e-5
    with pytest.raises(ModelExportError, match=r"images: mask: must be numbers of shape \(count, 8, 8, 1\)"):
        opened.predict({"pixels": np.zeros((1, 8, 8, 1)), "mask": np.zeros((1, 8, 8))})
    with pytest.raises(ModelExportError, match=rf"{FILES[form]} cannot be loaded by {CONVERSIONS[form].runtime}: .+"):
        open_converted(path.parent / "nowhere", form=form, inputs=inputs, threads=1)


def test_onnx_and_openvino_have_inputs_and_outputs_in_the_order_of_the_manifest(written: tuple[str, Path]) -> None:
    form, path = written
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        ends = ([end.name for end in session.get_inputs()], [end.name for end in session.get_outputs()])
        assert session.get_inputs()[0].shape == ["batch", 8, 8, 1]
    elif form == "openvino":
        import openvino

        read = openvino.Core().read_model(str(path / "model.xml"))
        ends = ([end.get_any_name() for end in read.inputs], [end.get_any_name() for end in read.outputs])
    else:
        from ai_edge_litert.interpreter import Interpreter

        # A .tflite has no order of its own: its signature is by name.
        signature = Interpreter(model_path=str(path)).get_signature_list()["serving_default"]
        ends = tuple(sorted(signature[key], key=names.index) for key, names in NAMES.items())
    assert ends == (list(NAMES["inputs"]), list(NAMES["outputs"]))


def test_bytes_that_changed_in_the_weights_are_found(
    model: keras.Model, written: tuple[str, Path], tmp_path: Path
) -> None:
    form, path = written
    broken = tmp_path / path.name
    if path.is_dir():
        broken.mkdir()
        (broken / "model.xml").write_bytes((path / "model.xml").read_bytes())
    source, target = (path / "model.bin", broken / "model.bin") if path.is_dir() else (path, broken)
    content = bytearray(source.read_bytes())
    dense = model.layers[-4].get_weights()[0]
    start = max(content.find(array.tobytes()[:64]) for array in (dense, dense.T.copy()))
    assert start > 0
    content[start + 3 : start + 4003 : 4] = bytes(byte ^ 0x3F for byte in content[start + 3 : start + 4003 : 4])
    target.write_bytes(content)
    expected = model.predict(IMAGES, verbose=0)
    with pytest.raises(ModelExportError, match=r"differ from the checkpoint's by up to|not finite|cannot load or run"):
        check_outputs(expected, run(form, broken, folder=tmp_path).outputs, what="file")


def test_a_file_that_is_no_model_is_refused_by_its_runtime_and_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelExportError, match=r"^its runtime cannot load or run it: .+$"):
        run("onnx", tmp_path / "model.onnx", folder=tmp_path)


def test_the_process_of_a_runtime_cannot_import_tensorflow(tmp_path: Path) -> None:
    code = f"import sys; from {measuring.__name__} import forbid_tensorflow; forbid_tensorflow(); import tensorflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("ModuleNotFoundError: No module named 'tensorflow'")


def layers_of(kind: str) -> Callable[[Any], Any]:
    resize = {"bilinear": {}, "antialias": {"antialias": True}}.get(kind, {"interpolation": kind})
    return {
        "groups": keras.layers.Conv2D(8, 3, groups=2),
        "celu": keras.layers.Activation("celu"),
        "gelu": keras.layers.Activation("gelu"),
    }.get(kind) or keras.layers.Resizing(6, 6, **resize)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("gelu", {}),
        ("bilinear", {}),
        ("celu", dict.fromkeys(("onnx", "onnx_int8", "litert_int8"), "celu")),
        ("groups", dict.fromkeys(("onnx", "onnx_int8"), "grouped convolutions")),
        ("area", dict.fromkeys(CONVERSIONS, "resize")),
        ("antialias", dict.fromkeys(CONVERSIONS, "antialias")),
        ("bicubic", dict.fromkeys(CONVERSIONS, "bicubic")),
        ("lanczos3", dict.fromkeys(CONVERSIONS, "lanczos3")),
    ],
)
def test_what_a_format_cannot_express_is_refused_before_it_is_converted(
    kind: str, refused: dict[str, str], tmp_path: Path
) -> None:
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(layers_of(kind)(image))))
    task = Task.classification(input_shape=(8, 8, 4), num_classes=2)
    write_saved_model(model, tmp_path / "saved_model", task)
    operations = operations_in(tmp_path / "saved_model")
    reasons = {name: unknown_operations(operations, form.unknown) for name, form in CONVERSIONS.items()}
    assert {name for name, reason in reasons.items() if reason} == refused.keys(), operations
    assert all(words in reasons[name] for name, words in refused.items())


def test_a_model_of_half_precision_is_converted_from_a_twin_in_float32() -> None:
    task = Task.classification(input_shape=(8, 8, 1), num_classes=3)
    variant = Variant(family="sequential", params={"precision": "mixed_bfloat16", "num_blocks": 1}, seed=1)
    trained = build_model(variant, task=task)

    def rebuild(other: Variant) -> Any:
        model = build_model(other, task=task)
        model.set_weights(trained.get_weights())
        return model

    twin = float32_twin(variant, rebuild=rebuild)
    images = np.random.default_rng(1).uniform(0, 255, (8, 8, 8, 1)).astype(np.float32)
    assert (half_precision(trained), half_precision(twin)) == (["bfloat16"], [])
    np.testing.assert_allclose(twin(images), trained(images), atol=0.05)
    with pytest.raises(ModelExportError, match="compute in bfloat16 whatever parameter precision is"):
        float32_twin(variant, rebuild=lambda _: trained)


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing but what convfleet always brings."""
    monkeypatch.setattr(export_specs, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_packages")
def test_a_format_whose_package_is_missing_is_refused_when_the_study_is_loaded() -> None:
    study = {"name": "s", "data": {"source": "digits"}, "space": "cnn-small"}
    with pytest.raises(StudyFileError) as caught:
        load_study({**study, "export": {"formats": ["keras", "onnx", "litert"]}})
    assert str(caught.value).splitlines() == [
        "study: export.formats[1]: 'onnx' needs onnx and tf2onnx and onnxruntime, which are not installed; "
        "pip install 'convfleet[onnx]'",
        "study: export.formats[2]: 'litert' needs ai_edge_litert, which is not installed; "
        "pip install 'convfleet[litert]'",
    ]
    assert load_study({**study, "export": {"top": 0, "formats": ["onnx"]}}).export.top == 0


@pytest.mark.usefixtures("without_packages")
def test_the_command_refuses_a_format_whose_package_is_missing() -> None:
    result = CliRunner().invoke(app, ["export", "runs/none", "--format", "openvino"])
    assert str(result.exception) == (
        "--format: 'openvino' needs openvino, which is not installed; pip install 'convfleet[openvino]'"
    )


def test_every_format_has_a_tolerance_and_every_other_runtime_an_extra() -> None:
    assert {name for name, facts in FACTS.items() if facts.extra} == CONVERSIONS.keys()
    exact = [facts.tolerance for name, facts in FACTS.items() if "16" not in name and "int8" not in name]
    assert all(0 < tolerance <= 1e-5 for tolerance in exact)
    assert {name for name, facts in FACTS.items() if facts.answers} == {name for name in FACTS if "int8" in name}


def test_calibration_goes_by_the_names_of_inputs(model: keras.Model, source: Source, tmp_path: Path) -> None:
    # A dark input and a bright one: exchanged, they would cut the bright one's values.
    images = {"pixels": 200 + IMAGES["pixels"] / 5, "mask": IMAGES["mask"] / 5}
    exchanged = {"pixels": images["mask"], "mask": images["pixels"]}
    expected = model.predict(images, verbose=0)
    errors = []
    for calibration in (images, exchanged):
        form, path = CONVERSIONS["litert_int8"], tmp_path / FILES["litert_int8"]
        form.convert(replace(source, calibration=lambda images=calibration: images), path)
        found = form.open(path, 1).predict(images)
        errors.append(sum(np.abs(found[output] - values).mean() for output, values in expected.items()))
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("name", INT8)
def test_an_empty_calibration_is_an_error_before_anything_is_converted(name: str, tmp_path: Path) -> None:
    none = {end: np.zeros((0, 8, 8, 1), np.uint8) for end in NAMES["inputs"]}
    with pytest.raises(ModelExportError, match=r"at least one, got \{'pixels': 0, 'mask': 0\}; give the study"):
        CONVERSIONS[name].convert(
            Source(saved_model=tmp_path / "none", calibration=lambda: none, **NAMES), tmp_path / FILES[name]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_sees_each_image_once_and_both_ends_of_the_pixels(tmp_path: Path) -> None:
    images = {name: np.full((3, 8, 8, 1), value, np.uint8) for value, name in enumerate(NAMES["inputs"], 7)}
    source = Source(saved_model=tmp_path, calibration=lambda: images, **NAMES)
    batches = list(calibration_batches(source))
    assert [list(batch) for batch in batches] == [list(NAMES["inputs"])] * 3
    for value, name in enumerate(NAMES["inputs"], 7):
        assert all(batch[name].shape == (1, 8, 8, 1) and batch[name].dtype == np.float32 for batch in batches)
        assert sorted(set(batches[0][name].flat)) == [0, value, 255]
        assert all(set(batch[name].flat) == {value} for batch in batches[1:])
    assert (images["mask"] == 8).all()


@given(st.integers(1, 2000), st.integers(1, 10**9), st.integers(0, 2**31))
def test_the_images_of_a_calibration_are_drawn_by_a_seed_and_fit_in_memory(count: int, size: int, seed: int) -> None:
    rows = calibration_rows(count, image_bytes=size, seed=seed)
    assert 1 <= len(rows) <= min(count, 128)
    assert len(rows) == 1 or len(rows) * size <= 256_000_000
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] <= rows[-1] < count
    np.testing.assert_array_equal(rows, calibration_rows(count, image_bytes=size, seed=seed))


LAX = Answers(least_equal=0.95, most_drop=0.02, most_drift=0.1)


@pytest.mark.parametrize(
    ("num_images", "num_wrong", "is_refused"), [(100, 5, False), (100, 6, True), (10, 1, False), (10, 2, True)]
)
def test_a_quantised_file_may_change_few_answers_and_always_one(
    num_images: int, num_wrong: int, is_refused: bool
) -> None:
    before = np.tile([[0.25, 0.75]], (num_images, 1))
    after = before.copy()
    after[:num_wrong] = [[0.5, 0.5]]  # Two classes of equal probability are no answer.
    arguments: dict[str, Any] = {"kind": "classification", "allowed": LAX, "num_images": num_images, "what": "file"}
    if not is_refused:
        assert check_answers(before, after, **arguments) == 1 - num_wrong / num_images
        return
    with pytest.raises(
        ModelExportError, match=r"^file: gives the checkpoint's answer for .*%.*, allowed is 95% or more"
    ):
        check_answers(before, after, **arguments)


def test_numbers_of_a_quantised_file_are_judged_by_their_spread() -> None:
    ages = np.array([[20.0], [40.0], [60.0]])
    arguments: dict[str, Any] = {"kind": "regression", "allowed": LAX, "num_images": 3, "what": "file"}
    assert check_answers(ages, ages + 1, **arguments) == pytest.approx(1 / ages.std())
    with pytest.raises(ModelExportError, match=r"by 0\.122 of their standard deviation on average, allowed is 0\.1"):
        check_answers(ages, ages + 2, **arguments)
    # What calibration never saw is cut: a file that says one number of every image is none.
    with pytest.raises(ModelExportError, match="standard deviation"):
        check_answers(ages, np.minimum(ages, 40.0), **arguments)


@pytest.mark.parametrize(
    ("change", "num_images", "is_refused"), [(-0.02, 500, False), (-0.03, 500, True), (-0.1, 10, False)]
)
def test_a_metric_may_fall_by_little_and_always_by_an_image(change: float, num_images: int, is_refused: bool) -> None:
    arguments: dict[str, Any] = {"metric": "accuracy", "allowed": LAX, "num_images": num_images, "what": "file"}
    if is_refused:
        with pytest.raises(ModelExportError, match=r"^file: its test accuracy is 0\.03 below the checkpoint's"):
            check_drop(change, **arguments)
    else:
        check_drop(change, **arguments)


def test_a_file_that_loses_too_much_is_left_out_and_the_others_are_kept(tmp_path: Path) -> None:
    class Converted:
        """Writes files of which one gives other answers."""

        def write(self, name: str, path: Path) -> VerifiedFile:
            path.write_bytes(b"file")
            right = np.eye(3)
            found = right[::-1] if name == "onnx_int8" else right
            what = f"t0001: {FILES[name]} label"
            check_answers(right, found, kind="classification", allowed=LAX, num_images=3, what=what)
            return VerifiedFile(difference=0.0, measured={"runtime": "own"})

    unused: Any = object()
    written = write_formats(
        unused,
        ["litert_int8", "onnx_int8", "openvino_int8"],
        trial="t0001",
        task=TASK,
        draft=tmp_path,
        evidence=unused,
        converted=cast("Any", Converted()),
    )
    assert written.problems == {
        "onnx_int8": "t0001: model_int8.onnx label: gives the checkpoint's answer for 33.3% of the test images, "
        "allowed is 95% or more; export a format of float32 or litert_float16"
    }
    assert written.parity.keys() == written.runtimes.keys() == {"litert_int8", "openvino_int8"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_int8.tflite", "openvino_int8"]
