"""A tiny study exports all formats, and a process with a runtime alone gets the manifest's accuracy from PNG files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command_lines import CommandLine
from PIL import Image

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset
from trainables.files.manifests import fingerprints
from trainables.specs.data import DataSpec
from trainables.specs.export import FACTS, FILES, FORMAT_NAMES

pytestmark = pytest.mark.slow

INT8 = ("litert_dynamic_int8", "litert_int8", "onnx_int8", "openvino_int8")
RUNTIMES = ("litert", "onnx", "openvino", "litert_float16", *INT8)
DATA = {"source": "digits", "limit": 600}
#: Reads pictures and predicts them, with one runtime and nothing of TensorFlow's or convfleet's.
PREDICT = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
form, path, folder = sys.argv[1:]
files = sorted(Path(folder).glob("*.png"))
images = np.stack([np.asarray(Image.open(file), "float32")[..., None] for file in files])
if form.startswith("litert"):
    from ai_edge_litert.interpreter import Interpreter
    scores = Interpreter(path).get_signature_runner("serving_default")(image=images)["output_0"]
elif form.startswith("onnx"):
    import onnxruntime
    (scores,) = onnxruntime.InferenceSession(path).run(["output_0"], {"image": images})
else:
    import openvino
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    scores = openvino.Core().compile_model(path + "/model.xml", "CPU", settings)({"image": images})["output_0"]
labels = [int(file.stem.split("-")[1]) for file in files]
foreign = {"tensorflow", "keras", "trainables", "orchestrator"} & sys.modules.keys()
print(json.dumps([float(np.mean(scores.argmax(1) == labels)), sorted(foreign)]))
"""


@pytest.fixture(scope="module")
def exported(make_joined: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A study of one trial, its export in all formats, and what the command printed of it."""
    joined: CommandLine = make_joined(tmp_path_factory.mktemp("formats"))
    study = joined.write_study(
        "formats",
        data=DATA,
        space={"family": "sequential", "params": {"filters": 16, "activation": "gelu", "learning_rate": 0.01}},
        search={"algorithm": "random", "trials": 1},
        schedule={"algorithm": "none", "max_epochs": 8},
        export={"top": 0, "accept": {"accuracy_drop": 0.05}},
    )
    joined.run("run", study)
    formats = [part for name in FORMAT_NAMES for part in ("--format", name)]
    printed = joined.run("export", "runs/formats", "--top", "1", *formats)
    (folder,) = (joined.folder / "runs" / "formats" / "exports").glob("1-*")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return SimpleNamespace(folder=folder, manifest=manifest, printed=printed)


@pytest.fixture(scope="module")
def pictures(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test split as PNG files, named by number and class."""
    folder = tmp_path_factory.mktemp("pictures")
    test = open_dataset(prepare_dataset(DataSpec(**DATA, cache_dir=str(cache_folder)), 3)).test
    for number, row in enumerate(test.indices):
        image = Image.fromarray(np.asarray(test.images[row])[..., 0])
        image.save(folder / f"{number:04}-{int(test.labels['label'][row])}.png")
    return folder


def test_the_manifest_says_what_each_runtime_found(exported: SimpleNamespace) -> None:
    manifest, runtimes = exported.manifest, exported.manifest["runtimes"]
    assert manifest["parity_max_difference"].keys() == set(FORMAT_NAMES)
    assert manifest["files"] == fingerprints(exported.folder)
    described = {"manifest.json", "model_card.md", "model_card.html", "worst_mistakes.png"}
    assert {path.name for path in exported.folder.iterdir()} - described == set(FILES.values())
    assert runtimes.keys() == set(RUNTIMES)
    for name, found in runtimes.items():
        if name in INT8:
            assert found["agreement"]["label"] >= found["allowed"]["least_equal"] == 0.95
            assert found["metric_changes"]["accuracy"] >= -0.02
        else:
            assert found["max_difference"] <= found["tolerance"] == FACTS[name].tolerance
        if name in RUNTIMES[:3]:
            assert found["agreement"] == {"label": 1.0}
            assert found["test_metrics"] == pytest.approx(manifest["test_metrics"], abs=1e-4)
        assert found["num_images"] == manifest["splits"]["test"]
        sizes = [
            entry["size_bytes"]
            for path, entry in manifest["files"].items()
            if path == FILES[name] or path.startswith(f"{FILES[name]}/")
        ]
        assert found["size_bytes"] == sum(sizes)
        assert f"{name}: {found['runtime']} {found['version']}" in exported.printed


def test_the_smallest_good_file_is_named(exported: SimpleNamespace) -> None:
    accepted, runtimes = exported.manifest["accepted"], exported.manifest["runtimes"]
    good = [found["size_bytes"] for found in runtimes.values() if found["metric_changes"]["accuracy"] >= -0.05]
    assert accepted["size_bytes"] == min(good)
    assert accepted["words"] in exported.printed


@pytest.mark.parametrize("name", [*RUNTIMES[:3], *INT8[1:]])
def test_a_process_with_one_runtime_gets_the_manifests_accuracy_from_png_files(
    exported: SimpleNamespace, pictures: Path, name: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, name, str(exported.folder / FILES[name]), str(pictures)],
        env=environment,
        cwd=pictures,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracy, foreign = json.loads(done.stdout.splitlines()[-1])
    assert foreign == []
    if name not in INT8:
        assert accuracy == pytest.approx(exported.manifest["test_metrics"]["accuracy"], abs=1e-6)
    assert accuracy == pytest.approx(exported.manifest["runtimes"][name]["test_metrics"]["accuracy"], abs=1e-6)
