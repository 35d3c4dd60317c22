"""A competition's layout, tables beside folders of images, from its files to an export that plain Keras agrees with."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

#: Feeds an export with the original files' pixels, without this package: accuracy and loss over the test table.
JUDGE = """
import csv, json, sys
import keras, numpy as np
from PIL import Image
export, root = sys.argv[1:]
names = json.load(open(f"{export}/manifest.json"))["outputs"][0]["class_names"]
rows = list(csv.DictReader(open(f"{root}/test.csv")))
pixels = np.stack([np.asarray(Image.open(f"{root}/test_images/{row['id']}.png")) for row in rows])
predicted = keras.models.load_model(f"{export}/model.keras").predict(pixels.astype("float32"), verbose=0)
labels = np.array([names.index(row["breed"]) for row in rows])
print(json.dumps({
    "accuracy": float((predicted.argmax(axis=1) == labels).mean()),
    "loss": float(-np.log(predicted[np.arange(len(labels)), labels]).mean()),
}))
"""


def write_split(root, split, *, count, generator):
    """Writes ids with leading zeros and no endings; a third of the pixels of a breed's own colour."""
    (root / f"{split}_images").mkdir()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "age", "breed"])
    for row in range(count):
        breed = row % 3
        pixels = generator.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        pixels[:4, :, breed] = 255
        Image.fromarray(pixels).save(root / f"{split}_images" / f"{row:05}.png")
        writer.writerow([f"{row:05}", row % 7, ("collie", "beagle", "husky")[breed]])
    (root / f"{split}.csv").write_text(text.getvalue(), encoding="utf-8")


def test_a_competition_ends_in_an_export_that_scores_the_same_on_the_original_files(joined):
    generator = np.random.default_rng(0)
    write_split(joined.folder, "train", count=90, generator=generator)
    write_split(joined.folder, "test", count=45, generator=generator)
    (joined.folder / "train_images" / "extra.png").write_bytes((joined.folder / "test_images/00000.png").read_bytes())
    study = joined.write_study(
        "breeds",
        data={
            "source": "csv",
            "train": "train.csv",
            "test": "test.csv",
            "images": "{split}_images",
            "image_column": "id",
            "label_column": "breed",
        },
        space={
            "family": "sequential", "params": {"num_blocks": 1, "filters": 8, "learning_rate": 0.01, "batch_size": 16},
        },
        search={"algorithm": "grid"},
        schedule={"algorithm": "none", "max_epochs": 4},
        export={"top": 1, "formats": ["keras"]},
    )  # fmt: skip
    joined.run("run", study)
    run = joined.folder / "runs" / "breeds"
    (export,) = (run / "exports").iterdir()
    manifest = json.loads((export / "manifest.json").read_text())
    assert manifest["outputs"][0]["class_names"] == ["beagle", "collie", "husky"]
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", JUDGE, str(export), str(joined.folder)]
    judged = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert judged["accuracy"] == pytest.approx(manifest["test_metrics"]["accuracy"], abs=1e-6)
    assert judged["loss"] == pytest.approx(manifest["test_metrics"]["loss"], abs=1e-4)
    assert judged["accuracy"] > 0.5
    assert "images that no table names are left out: 1 (extra.png)" in (run / "environment.json").read_text()
