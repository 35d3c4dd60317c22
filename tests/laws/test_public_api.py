"""What other programs rely on: the package's names, its error tree, and what an export promises."""

import hashlib
import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import convfleet
import orchestrator
from orchestrator import errors
from search_spaces import Variant
from trainables.errors import ModelExportError
from trainables.exporting.manifest import ExportFindings, write_export_manifest
from trainables.exporting.verify import TOLERANCE, check_outputs, check_parity, targets_of_numbers
from trainables.files.manifests import MANIFEST, fingerprints
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.export import ExportRequest
from trainables.specs.pixels import PixelRule, PixelStatistics
from trainables.specs.targets import TargetKind
from trainables.specs.task import Target, Task
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

PUBLIC = [
    "InputError",
    "OrchestratorError",
    "Registry",
    "StudyFailedError",
    "StudyPausedError",
    "StudyResult",
    "StudySpec",
    "__version__",
    "ensemble_study",
    "evaluate_export",
    "export_study",
    "load_study",
    "models",
    "open_run",
    "predict_images",
    "resume_study",
    "run_study",
    "study_for",
]
NAMED = [name for name in PUBLIC if name != "__version__"]
FUNCTIONS = [name for name in NAMED if name[0].islower()]


@pytest.mark.parametrize("package", [convfleet, orchestrator])
def test_public_names_are_pinned_and_import(package: ModuleType) -> None:
    assert package.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(package))
    for name in NAMED:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'run_studies'"):
        _ = package.run_studies


def test_both_packages_have_the_same_things_and_the_distributions_version() -> None:
    assert all(getattr(convfleet, name) is getattr(orchestrator, name) for name in NAMED)
    assert convfleet.__version__ == orchestrator.__version__ == importlib.metadata.version("convfleet")


def test_command_starts_as_a_module_too() -> None:
    command = [sys.executable, "-m", "convfleet", "status", "runs/none"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: runs/none: no such run folder")


@pytest.mark.parametrize("name", NAMED)
def test_every_public_name_has_an_example(name: str) -> None:
    section = (inspect.getdoc(getattr(convfleet, name)) or "").partition("\nExamples:\n")[2]
    assert "import convfleet" in section
    assert f"convfleet.{name}" in section or name in ("StudySpec", "StudyResult")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_of_a_public_function_has_every_argument_its_result_and_its_errors(name: str) -> None:
    function = getattr(convfleet, name)
    docstring = inspect.getdoc(function) or ""
    section = docstring.partition("\nArgs:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+): ", section, flags=re.MULTILINE) == list(inspect.signature(function).parameters)
    assert "\nReturns:\n" in docstring
    assert "\nRaises:\n" in docstring


def test_arguments_of_public_functions_are_pinned() -> None:
    assert {name: list(inspect.signature(getattr(convfleet, name)).parameters) for name in FUNCTIONS} == {
        "ensemble_study": ["root", "size", "method", "formats", "address", "progress"],
        "evaluate_export": [
            "export",
            "data",
            "source",
            "split",
            "label",
            "overrides",
            "form",
            "allow_missing_classes",
            "notify",
        ],
        "export_study": ["root", "top", "formats", "address", "progress"],
        "load_study": ["source", "overrides", "has_data"],
        "models": ["root", "notify"],
        "open_run": ["root"],
        "predict_images": ["export", "images", "form", "top", "masks", "notify"],
        "resume_study": ["root", "overrides", "address", "progress"],
        "run_study": ["spec", "runs", "address", "progress", "resume_if_there"],
        "study_for": ["path", "minutes", "label"],
    }


def test_error_tree_is_pinned_and_drawn_in_its_module() -> None:
    tree = {
        name: item.__mro__[1].__name__ for name, item in vars(errors).items() if inspect.isclass(item) and item.__doc__
    }
    assert tree == {
        "OrchestratorError": "Exception",
        "InputError": "OrchestratorError",
        "StudyFileError": "InputError",
        "RunFolderError": "InputError",
        "RegistryError": "InputError",
        "StudyFailedError": "OrchestratorError",
        "ResourceError": "StudyFailedError",
        "DiskSpaceError": "StudyFailedError",
        "ExportError": "StudyFailedError",
        "JournalError": "OrchestratorError",
        "TrackerError": "OrchestratorError",
        "StudyPausedError": "OrchestratorError",
        "ClusterLostError": "StudyPausedError",
    }
    assert all(name in (errors.__doc__ or "") for name in tree)


GOOD = np.array([[0.25, 0.75], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("actual", "difference"),
    [(GOOD, 0.0), (GOOD + TOLERANCE / 2, TOLERANCE / 2), (GOOD - TOLERANCE / 2, TOLERANCE / 2)],
    ids=["equal", "a little above", "a little below"],
)
def test_predictions_within_the_tolerance_pass_with_their_difference(actual: np.ndarray, difference: float) -> None:
    assert check_parity(GOOD, actual, what="model.keras") == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize(
    ("expected", "actual", "message"),
    [
        (GOOD, GOOD + 2 * TOLERANCE, r"differ from the checkpoint's by up to 2e-05, allowed is 1e-05; .*discarded"),
        (GOOD, GOOD - 2 * TOLERANCE, "by up to 2e-05"),
        (GOOD, GOOD[::-1], "by up to 0.75"),
        (GOOD, GOOD[:1], r"predicts shape \(1, 2\), its checkpoint \(2, 2\); export it again"),
        (GOOD, GOOD[:, :1], r"predicts shape \(2, 1\)"),
        (GOOD, GOOD * np.nan, "values that are not finite"),
        (GOOD + np.inf, GOOD, "values that are not finite"),
        (GOOD * np.nan, GOOD * np.nan, "values that are not finite"),
    ],
    ids=["above", "below", "rows mixed up", "rows", "classes", "nan", "infinite", "both nan"],
)
def test_predictions_that_differ_are_refused(expected: np.ndarray, actual: np.ndarray, message: str) -> None:
    with pytest.raises(ModelExportError, match=rf"^t0007: model.keras: .*{message}"):
        check_parity(expected, actual, what="t0007: model.keras")


def test_a_file_that_is_wrong_on_small_numbers_is_refused_though_no_difference_exceeds_the_tolerance() -> None:
    small = np.linspace(0.0, 0.005, 20)[:, None]
    assert check_parity(small, small * 1.001, what="model_float16.tflite", tolerance=1e-2) < 1e-5
    assert check_parity(np.zeros((2, 1)), np.full((2, 1), 1e-8), what="model.tflite") == pytest.approx(1e-8)
    with pytest.raises(ModelExportError, match=r"differ .* by 0.0025 on average, and none is beyond 0.005; "):
        check_parity(small, np.zeros_like(small), what="model_float16.tflite", tolerance=1e-2)


def test_values_of_a_regression_are_compared_each_with_its_own_size() -> None:
    # Grams and the share of a second: a file that has the second wrong is within every tolerance of the first.
    expected = np.stack([np.linspace(900.0, 1100.0, 20), np.linspace(1e-6, 5e-6, 20)], axis=1)
    actual = expected * [1.0, 2.0]
    assert check_parity(expected, expected, what="model.tflite", is_each_alone=True) == 0.0
    with pytest.raises(ModelExportError, match=r"weight: .* by 3e-06 on average, and none is beyond 5e-06; "):
        check_outputs({"weight": expected}, {"weight": actual}, what="model.tflite", numbers={"weight"})
    # Probabilities of classes that nothing is taken for are rounding.
    assert check_outputs({"weight": expected}, {"weight": actual}, what="model.tflite") < TOLERANCE


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_a_lone_output_is_known_as_numbers_by_its_task(kind: TargetKind) -> None:
    target = Target(name="weight", kind=kind, size=2, loss="mse", metrics=("mae",))
    assert targets_of_numbers(Task(input_shape=(8, 8, 1), targets=(target,))) == (
        {"weight", ""} if kind == "regression" else set()
    )
    assert targets_of_numbers(Task(input_shape=(8, 8, 1), targets=(target, replace(target, name="size")))) == (
        {"weight", "size"} if kind == "regression" else set()
    )


OUTPUTS = {"sex": GOOD, "age": np.array([[40_000.0], [-3.0]])}


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ({"sex": GOOD}, r"predicts \['sex'\], its checkpoint \['age', 'sex'\]; export it again"),
        (GOOD, r"predicts \[''\], its checkpoint \['age', 'sex'\]"),
        (
            OUTPUTS | {"age": OUTPUTS["age"] + [[0.0], [1e-3]]},
            r"age: predictions differ from the checkpoint's by up to 0.0003",
        ),
        (OUTPUTS | {"sex": GOOD[:, ::-1]}, r"sex: predictions differ from the checkpoint's by up to 1,"),
    ],
)
def test_every_output_is_compared_by_its_name(actual: object, message: str) -> None:
    with pytest.raises(ModelExportError, match=rf"^t0007: model.keras:? ?.*{message}"):
        check_outputs(OUTPUTS, actual, what="t0007: model.keras")


def test_large_numbers_may_differ_by_the_tolerances_share() -> None:
    actual = OUTPUTS | {"age": OUTPUTS["age"] * (1 + TOLERANCE / 2)}
    assert check_outputs(OUTPUTS, actual, what="model.keras") == pytest.approx(TOLERANCE / 2, rel=1e-3)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A finished export without its manifest."""
    folder = tmp_path / "1-t0007"
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"keras")
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"")
    (folder / "saved_model" / "variables" / "manifest.json").write_bytes(b"{}")
    return folder


def request(folder: Path) -> ExportRequest:
    target = Target(
        name="label",
        kind="classification",
        size=2,
        class_names=("cat", "dog"),
        loss="categorical_crossentropy",
        metrics=("accuracy",),
    )
    dataset = DatasetInfo(
        key="k",
        split_key="s",
        folder="cache",
        task=Task(input_shape=(8, 6, 1), targets=(target,)),
        statistics=PixelStatistics(means=(1.0,), deviations=(1.0,)),
        num_train=70,
        num_validation=10,
        num_test=20,
        fingerprint="f00",
        pixel_rule=PixelRule(wide=(127, 2191), cuts=("wide",), ground=(255, 255, 255)),
        decoders={"pillow": "13.0.0"},
    )
    worker = WorkerSpec(
        dataset=dataset,
        data=DataSpec(source="digits"),
        split_seed=7,
        training=TrainingSpec(max_epochs=9, metric="val_accuracy", mode="max"),
        device=DeviceSpec(),
        checkpoints="checkpoints",
    )
    return ExportRequest(
        study="s",
        rank=1,
        trial="t0007",
        variant=Variant(family="sequential", params={"filters": 8}, seed=7),
        epoch=4,
        metrics={"val_accuracy": 0.9},
        formats=("keras", "saved_model"),
        folder=str(folder),
        worker=worker,
    )


def test_fingerprints_hold_every_file_but_the_manifest_itself(export: Path) -> None:
    (export / MANIFEST).write_bytes(b"old")
    assert fingerprints(export) == {
        "model.keras": {"size_bytes": 5, "sha256": hashlib.sha256(b"keras").hexdigest()},
        "saved_model/saved_model.pb": {"size_bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
        "saved_model/variables/manifest.json": {"size_bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()},
    }


def test_fingerprint_changes_with_a_single_byte(export: Path) -> None:
    before = fingerprints(export)
    (export / "model.keras").write_bytes(b"kerbs")
    after = fingerprints(export)
    assert [name for name in before if before[name] != after[name]] == ["model.keras"]


def test_manifest_tells_all_that_a_user_of_the_model_needs(export: Path) -> None:
    wanted = request(export)
    findings = ExportFindings(
        test_metrics={"accuracy": 0.8}, parity={"keras": 0.0}, agreement={}, problems={}, runtimes={}
    )
    write_export_manifest(export, wanted, num_parameters=42, findings=findings)
    told = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    assert told["files"] == fingerprints(export)
    assert {"model_card.md", "model_card.html"} < told["files"].keys()
    assert told["preprocessing"]["reading"] == {
        "takes_any_size": False,
        "takes_any_colors": False,
        "pages": "refuse",
        "reduced_decoding": False,
        "pixel_rule": {"byte": [0, 255], "wide": [127, 2191], "real": [0, 1], "cuts": ["wide"], "ground": [255] * 3},
    }
    assert told["variant"] == {
        "family": "sequential",
        "params": {"filters": 8},
        "seed": 7,
        "variant_id": wanted.variant.variant_id,
    }
    assert (told["schema"], told["trial"], told["rank"], told["epoch"]) == (2, "t0007", 1, 4)
    assert told["inputs"] == [{"name": "image", "dtype": "float32", "shape": [None, 8, 6, 1], "values": "0 to 255"}]
    (output,) = told["outputs"]
    assert (output["name"], output["target"], output["kind"]) == ("output_0", "label", "classification")
    assert (output["dtype"], output["shape"]) == ("float32", [None, 2])
    assert output["values"].startswith("probability of each class")
    assert output["class_names"] == ["cat", "dog"]
    assert (output["loss"], output["loss_weight"], output["metrics"]) == ("categorical_crossentropy", 1.0, ["accuracy"])
    assert told["preprocessing"]["color"] == "grey"
    ranges = told["preprocessing"]["pixel_range"]
    assert (ranges["8 bits"], ranges["more bits"], ranges["floats"]) == ([0, 255], [127, 2191], [0, 1])
    assert told["preprocessing"]["background"] == [255, 255, 255]
    assert told["decoders"] == {"pillow": "13.0.0"}
    assert told["splits"] == {"train": 70, "validation": 10, "test": 20}
    assert (told["metrics"], told["test_metrics"]) == ({"val_accuracy": 0.9}, {"accuracy": 0.8})
    assert (told["num_parameters"], told["parity_max_difference"]) == (42, {"keras": 0.0})
    assert told["versions"]["tensorflow"] == importlib.metadata.version("tensorflow")
