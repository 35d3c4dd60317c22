"""Data as MedMNIST and the Hugging Face Hub give it, from the file to an export that plain Keras agrees with."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

#: Feeds an export with the original file's pixels, without this package: accuracy and loss over the test split.
JUDGE = """
import io, json, sys
import keras, numpy as np
import pyarrow.parquet as pq
from PIL import Image
export, file = sys.argv[1:]
names = json.load(open(f"{export}/manifest.json"))["outputs"][0]["class_names"]
if file.endswith(".npz"):
    arrays = np.load(file)
    pixels, labels = arrays["test_images"][..., None], arrays["test_labels"][:, 0]
else:
    table = pq.read_table(file)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in table["image"].to_pylist()])
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    own = features["label"]["names"]
    labels = np.array([names.index(own[label]) for label in table["label"].to_pylist()])
predicted = keras.models.load_model(f"{export}/model.keras").predict(pixels.astype("float32"), verbose=0)
print(json.dumps({
    "accuracy": float((predicted.argmax(axis=1) == labels).mean()),
    "loss": float(-np.log(predicted[np.arange(len(labels)), labels]).mean()),
}))
"""


def pictures(count, *, channels, generator):
    """Returns noise with a stripe at a place of its class's own, and the classes."""
    labels = np.arange(count) % 3
    pixels = generator.integers(0, 256, (count, 12, 12, channels), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[4 * label : 4 * label + 4] = 255
    return pixels, labels


def write_medmnist(folder, generator):
    """Writes an archive with MedMNIST's names: images without an axis of channels, labels with one of length 1."""
    arrays = {}
    for split, count in (("train", 90), ("val", 24), ("test", 45)):
        pixels, labels = pictures(count, channels=1, generator=generator)
        arrays |= {f"{split}_images": pixels[..., 0], f"{split}_labels": labels[:, None].astype(np.uint8)}
    np.savez(folder / "toymnist.npz", **arrays)
    return {"source": "npz", "path": "toymnist.npz"}, folder / "toymnist.npz"


def write_hub(folder, generator):
    """Writes a file a split as the Hub has them; the test split numbers the same classes in another way."""
    orders = {"train": ["bird", "cat", "dog"], "test": ["dog", "bird", "cat"]}
    for split, count in (("train", 90), ("test", 45)):
        pixels, labels = pictures(count, channels=3, generator=generator)
        images = []
        for image in pixels:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
        numbers = [orders[split].index(orders["train"][label]) for label in labels]
        features = {"image": {"_type": "Image"}, "label": {"names": orders[split], "_type": "ClassLabel"}}
        table = pa.table({"image": images, "label": numbers})
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(table.replace_schema_metadata(metadata), folder / "data" / f"{split}-00000-of-00001.parquet")
    fields = {name: f"data/{name}-*.parquet" for name in ("train", "test")}
    return {"source": "parquet", **fields}, folder / "data" / "test-00000-of-00001.parquet"


@pytest.mark.parametrize(
    ("name", "write", "classes"),
    [("medmnist", write_medmnist, ["0", "1", "2"]), ("hub", write_hub, ["bird", "cat", "dog"])],
)
def test_a_downloaded_set_ends_in_an_export_that_scores_the_same_on_the_original_file(name, write, classes, joined):
    data, test_file = write(joined.folder, np.random.default_rng(0))
    study = joined.write_study(
        name,
        data=data,
        space={
            "family": "sequential", "params": {"num_blocks": 1, "filters": 8, "learning_rate": 0.01, "batch_size": 16},
        },
        search={"algorithm": "grid"},
        schedule={"algorithm": "none", "max_epochs": 4},
        export={"top": 1, "formats": ["keras"]},
    )  # fmt: skip
    joined.run("run", study)
    (export,) = (joined.folder / "runs" / name / "exports").iterdir()
    manifest = json.loads((export / "manifest.json").read_text())
    assert manifest["outputs"][0]["class_names"] == classes
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", JUDGE, str(export), str(test_file)]
    judged = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert judged["accuracy"] == pytest.approx(manifest["test_metrics"]["accuracy"], abs=1e-6)
    assert judged["loss"] == pytest.approx(manifest["test_metrics"]["loss"], abs=1e-4)
    assert judged["accuracy"] > 0.5
