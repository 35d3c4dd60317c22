"""The packaged study of masks ends in a verified export whose predictions give the manifest's test metrics."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import jaccard_score

from orchestrator import load_study, open_run
from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.in_process import prepare_in_process

pytestmark = pytest.mark.slow

METRICS = {"iou", "dice", "pixel_accuracy", "loss"}


@pytest.fixture(scope="module")
def unet(make_joined, tmp_path_factory):
    command_line = make_joined(tmp_path_factory.mktemp("unet"))
    told = command_line.run("run", "unet")
    return SimpleNamespace(folder=command_line.folder, run=command_line.run, told=told)


def test_the_best_model_finds_the_shapes_and_all_metrics_are_in_the_tables(unet):
    run = unet.folder / "runs" / "unet"
    for table in ("trials.parquet", "epochs.parquet"):
        assert METRICS | {f"val_{name}" for name in METRICS} <= set(pd.read_parquet(run / table).columns)
    assert open_run(run).leaderboard(1).to_pylist()[0]["best_val_iou"] > 0.9


def test_terminal_status_and_report_show_masks(unet):
    status = json.loads(unet.run("status", "runs/unet", "--json"))
    assert status["objective"] == {"metric": "val_iou", "mode": "max", "split": "validation"}
    assert status["exports"][0]["test_metrics"].keys() == {f"test_{name}" for name in METRICS}
    page = (unet.folder / "runs" / "unet" / "report.html").read_text(encoding="utf-8")
    assert "val_iou" in page
    assert "3 classes a pixel" in unet.told
    assert "pixels are class numbers; shares of the training pixels by class" in unet.told


def test_the_exports_give_a_probability_of_each_class_at_each_pixel(unet):
    import keras
    import tensorflow as tf

    (folder,) = (unet.folder / "runs" / "unet" / "exports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    (output,) = manifest["outputs"]
    assert (output["kind"], output["shape"]) == ("mask", [None, 32, 32, 3])
    assert output["class_names"] == ["background", "disc", "square"]
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    study = load_study("unet")
    test = open_dataset(prepare_in_process(study.data, study.seed)).test
    images = np.asarray(test.images)[test.indices].astype(np.float32)
    masks = np.asarray(test.labels["shapes"])[test.indices]
    predicted = keras.models.load_model(folder / "model.keras").predict(images, verbose=0)
    np.testing.assert_allclose(predicted.sum(axis=-1), 1.0, rtol=1e-5)
    iou = jaccard_score(masks.reshape(-1), predicted.argmax(axis=-1).reshape(-1), average="macro")
    assert iou == pytest.approx(manifest["test_metrics"]["iou"], abs=1e-4)
    assert iou > 0.9
    saved = tf.saved_model.load(str(folder / "saved_model"))
    np.testing.assert_allclose(saved.serve(tf.constant(images)), predicted, atol=1e-5)
    best = open_run(unet.folder / "runs" / "unet").load_model(rank=1)
    np.testing.assert_allclose(best.predict(images, verbose=0), predicted, atol=1e-5)
