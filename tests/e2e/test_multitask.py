"""The packaged study of several targets, and a made one of two images, run as users run them."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from orchestrator import open_run

pytestmark = pytest.mark.slow

HEADS = {
    "digit_accuracy", "digit_f1_score", "digit_loss", "ink_mae", "ink_r2_score", "ink_loss",
    "quadrants_accuracy", "quadrants_auc", "quadrants_loss", "loss",
}  # fmt: skip


@pytest.fixture(scope="module")
def multitask(make_joined, tmp_path_factory):
    command_line = make_joined(tmp_path_factory.mktemp("multitask"))
    command_line.run("run", "multitask", "--set", "resources.max_concurrent=1")
    return command_line


def test_every_head_is_in_both_tables_and_the_best_is_good_at_all_of_them(multitask):
    run = multitask.folder / "runs" / "multitask"
    for table in ("trials.parquet", "epochs.parquet"):
        assert HEADS | {f"val_{name}" for name in HEADS} <= set(pd.read_parquet(run / table).columns)
    best = open_run(run).leaderboard(1).to_pylist()[0]
    assert best["best_val_digit_accuracy"] > 0.9
    # Always telling the mean would be wrong by 0.028.
    assert best["val_ink_mae"] < 0.025
    assert best["val_quadrants_accuracy"] > 0.85


def test_status_and_report_tell_every_head(multitask):
    status = json.loads(multitask.run("status", "runs/multitask", "--json"))
    assert status["objective"] == {"metric": "val_digit_accuracy", "mode": "max", "split": "validation"}
    assert status["best"]["metrics"].keys() > HEADS
    assert {f"test_{name}" for name in HEADS} == status["exports"][0]["test_metrics"].keys()
    page = (multitask.folder / "runs" / "multitask" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Every metric</h2>" in page
    assert "val_ink_r2_score" in page


def test_the_export_names_every_output_in_manifest_and_signature(multitask, told_by_plain_keras):
    (folder,) = (multitask.folder / "runs" / "multitask" / "exports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [(told["name"], told["kind"], told["shape"]) for told in manifest["outputs"]] == [
        ("digit", "classification", [None, 10]),
        ("ink", "regression", [None, 1]),
        ("quadrants", "multilabel", [None, 4]),
    ]
    assert manifest["outputs"][2]["class_names"] == ["top_left", "top_right", "bottom_left", "bottom_right"]
    assert manifest["test_metrics"].keys() == HEADS
    assert manifest["test_metrics"]["digit_accuracy"] > 0.9
    assert max(manifest["parity_max_difference"].values()) <= 1e-5
    assert told_by_plain_keras(folder) == [
        "signature ['image'] ['digit', 'ink', 'quadrants']", "digit True", "ink True", "quadrants True"
    ]  # fmt: skip


def test_a_lone_target_is_called_in_the_manifest_as_in_the_signature_and_two_images_by_their_names(
    joined, told_by_plain_keras
):
    generator = np.random.default_rng(0)
    left, right = generator.integers(0, 256, (2, 200, 8, 8), dtype=np.uint8)
    brighter = left.mean(axis=(1, 2)) - right.mean(axis=(1, 2))
    np.savez(joined.folder / "pairs.npz", left=left, right=right, brighter=brighter)
    study = {
        "name": "pairs",
        "data": {
            "source": "npz",
            "path": "pairs.npz",
            "inputs": ["left", "right"],
            "targets": {"brighter": {"kind": "regression"}},
            "augment": {"flip": "both"},
        },
        "space": {"family": "multitask", "params": {"filters": 4, "normalization": "standardize", "batch_size": 32}},
        "search": {"algorithm": "grid"},
        "schedule": {"algorithm": "none", "max_epochs": 2},
        "export": {"top": 1},
    }
    (joined.folder / "pairs.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    joined.run("run", "pairs.yaml")
    (folder,) = (joined.folder / "runs" / "pairs" / "exports").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [told["name"] for told in manifest["inputs"]] == ["left", "right"]
    assert [(told["name"], told["target"]) for told in manifest["outputs"]] == [("output_0", "brighter")]
    assert told_by_plain_keras(folder) == ["signature ['left', 'right'] ['output_0']", "output_0 True"]
    assert (joined.folder / "runs" / "pairs" / "augmented.png").stat().st_size > 500
