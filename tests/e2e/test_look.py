"""Data on which results would say nothing is refused before training; what else is remarkable is said and kept."""

import json

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.slow

LEAK = "12 of 12 test images are training images as well"


@pytest.fixture
def leaking(joined):
    """A study whose test images are training images."""
    images = np.random.default_rng(0).integers(0, 256, (48, 8, 8), np.uint8)
    labels = np.arange(48) % 2
    np.savez(joined.folder / "a.npz", x_train=images, y_train=labels, x_test=images[:12], y_test=labels[:12],
             x_val=255 - images[:8], y_val=labels[:8])  # fmt: skip
    return joined.write_study(
        "leaking",
        data={"source": "npz", "path": "a.npz"},
        search={"algorithm": "random", "trials": 1},
        schedule={"algorithm": "none", "max_epochs": 1},
    )


def test_leak_is_refused_until_the_study_insists_and_never_stops_a_run_that_has_begun(leaking, joined):
    said = joined.run("run", leaking, code=2)
    assert f"data: {LEAK} (a.npz: x_test[0] is a.npz: x_train[0]; " in said
    assert "data.allow_overlap: true trains on them all the same" in said
    assert not (joined.folder / "runs" / "leaking").exists()
    output = joined.run("run", leaking, "--set", "data.allow_overlap=true")
    assert f"data: {LEAK}" in output
    run = joined.folder / "runs" / "leaking"
    data = json.loads((run / "environment.json").read_text())["sessions"][-1]["data"]
    assert any(note.startswith(LEAK) for note in data["notes"])
    assert data["look"]["images"] == {"train": 48, "validation": 8, "test": 12}
    assert json.loads(joined.run("status", "runs/leaking", "--json"))["data_notes"] == data["notes"]
    assert (run / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    page = (run / "report.html").read_text()
    assert LEAK in page
    assert "Training images as a model gets them, before augmentation; rows from the top: 0, 1." in page
    # A run of a version that refused nothing: its study file lacks the key.
    study = yaml.safe_load((run / "study.yaml").read_text())
    assert study["data"].pop("allow_overlap") is True
    (run / "study.yaml").write_text(yaml.safe_dump(study))
    assert "1 completed" in joined.run("resume", "runs/leaking")
