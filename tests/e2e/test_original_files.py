"""DICOM slices and folders of PNG, from the file to an export that plain Keras, fed by another reader, agrees with."""

import json
import os
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

pytestmark = pytest.mark.slow

#: Feeds an export with the pixels of the test files, without this package: accuracy and loss. `files` and `pixels_of`
#: come before it.
JUDGE = """
names = manifest["outputs"][0]["class_names"]
assert tuple(manifest["inputs"][0]["shape"][1:]) == pixels_of(files[0][0]).shape
pixels = np.stack([pixels_of(path) for path, _ in files]).astype("float32")
labels = np.array([names.index(label) for _, label in files])
predicted = keras.models.load_model(f"{export}/model.keras").predict(pixels, verbose=0)
print(json.dumps({
    "count": len(files),
    "accuracy": float((predicted.argmax(axis=1) == labels).mean()),
    "loss": float(-np.log(predicted[np.arange(len(labels)), labels]).mean()),
}))
"""

START = """
import csv, json, sys
from pathlib import Path
import keras, numpy as np
export, root = sys.argv[1:]
manifest = json.load(open(f"{export}/manifest.json"))
"""

#: The numbers that slices mean, by pydicom's own look-up of the rescale, and the manifest's rule for samples.
DICOM_FILES = """
import pydicom
from pydicom.pixels import apply_rescale
files = [(f"{root}/ct/{row['slice']}.dcm", row["finding"]) for row in csv.DictReader(open(f"{root}/test.csv"))]
low, high = manifest["preprocessing"]["pixel_range"]["more bits"]
def pixels_of(path):
    slice_ = pydicom.dcmread(path)
    stored = slice_.pixel_array.astype(np.int64)
    if slice_.PhotometricInterpretation == "MONOCHROME1":
        stored = 2 ** slice_.BitsStored - 1 - stored
    meant = apply_rescale(stored, slice_)
    return np.rint(255 * (meant - low) / (high - low)).clip(0, 255)[..., None]
"""

PNG_FILES = """
import cv2
files = [(str(path), path.parent.name) for path in sorted(Path(root, "clothes", "test").glob("*/*.png"))]
def pixels_of(path):
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., None]
"""


def write_slice(path, stored, *, patient, kind, slope):
    """Writes a slice of 12 bits in 16; `stored` are its numbers."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[str(path.name)])
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.PatientID, file.PhotometricInterpretation = patient, kind
    file.Rows, file.Columns = stored.shape
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    file.RescaleSlope, file.RescaleIntercept = slope, -1024
    file.PixelData = stored.astype("<u2").tobytes()
    file.save_as(path, enforce_file_format=True)


def write_series(folder, generator):
    """Writes slices of 15 patients; those of every third one are MONOCHROME1, and slopes differ within a patient.

    A finding is a bright band at a place of its own. Test slices reach beyond the range of the training slices.
    """
    findings = ("clear", "left", "right")
    rows = {"train": ["slice,patient,finding"], "test": ["slice,patient,finding"]}
    for patient in range(15):
        split = "test" if patient >= 10 else "train"
        (folder / "ct" / f"p{patient:02}").mkdir(parents=True)
        for number in range(9):
            finding, slope = number % 3, 1 + number % 2
            meant = generator.integers(-900, 700, (14, 12)) // 2 * 2
            if finding:
                meant[:, 6 * finding - 5 : 6 * finding - 1] += 300 if split == "train" else 900
            stored = (meant + 1024) // slope
            kind = "MONOCHROME1" if patient % 3 == 0 else "MONOCHROME2"
            name = f"p{patient:02}/{number:03}"
            write_slice(
                folder / "ct" / f"{name}.dcm",
                4095 - stored if kind == "MONOCHROME1" else stored,
                patient=f"p{patient:02}",
                kind=kind,
                slope=slope,
            )
            rows[split].append(f"{name},p{patient:02},{findings[finding]}")
    for split, lines in rows.items():
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "source": "csv",
        "train": "train.csv",
        "test": "test.csv",
        "images": "ct",
        "image_column": "slice",
        "label_column": "finding",
        "group": "patient",
    }


def write_clothes(folder, generator):
    """Writes grey PNG of 28x28 in folders of ten classes below train and test."""
    names = ("ankle boot", "bag", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "top", "trouser")
    for split, each in (("train", 30), ("test", 12)):
        for number, name in enumerate(names):
            (folder / "clothes" / split / name).mkdir(parents=True)
            for row in range(each):
                pixels = generator.integers(0, 160, (28, 28), dtype=np.uint8)
                top, left = 14 * (number % 2), 5 * (number // 2)
                pixels[top : top + 13, left : left + 6] |= 0x40
                Image.fromarray(pixels).save(folder / "clothes" / split / name / f"{row:04}.png")
    return {"source": "images", "path": "clothes"}


@pytest.mark.parametrize(
    ("name", "write", "reader", "count"),
    [("slices", write_series, DICOM_FILES, 45), ("clothes", write_clothes, PNG_FILES, 120)],
)
def test_an_export_scores_the_same_on_the_original_files_by_another_reader(name, write, reader, count, joined):
    data = write(joined.folder, np.random.default_rng(0))
    params = {"num_blocks": 1, "filters": 8, "learning_rate": 0.01, "batch_size": 16}
    study = joined.write_study(
        name,
        data=data,
        space={"family": "sequential", "params": params},
        search={"algorithm": "grid"},
        schedule={"algorithm": "none", "max_epochs": 5},
        export={"top": 1, "formats": ["keras"]},
    )
    joined.run("run", study)
    (export,) = (joined.folder / "runs" / name / "exports").iterdir()
    manifest = json.loads((export / "manifest.json").read_text())
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", START + reader + JUDGE, str(export), str(joined.folder)]
    judged = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert judged["count"] == manifest["splits"]["test"] == count
    assert judged["accuracy"] == pytest.approx(manifest["test_metrics"]["accuracy"], abs=1e-6)
    assert judged["loss"] == pytest.approx(manifest["test_metrics"]["loss"], abs=1e-6)
    assert judged["accuracy"] > 0.5
