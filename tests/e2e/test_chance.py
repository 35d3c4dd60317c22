"""Of noise with random labels no winner is claimed, from the run's first words to its report."""

import json
import shutil

import numpy as np
import pytest

from orchestrator import open_run
from orchestrator.results.references import read_references

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def noise(make_joined, tmp_path_factory):
    """A study of noise with random labels that has ended, in the folder of its commands."""
    joined = make_joined(tmp_path_factory.mktemp("noise"))
    random = np.random.default_rng(4)
    images, labels = random.integers(0, 256, (150, 8, 8, 1), np.uint8), random.integers(0, 3, 150)
    np.savez(joined.folder / "noise.npz", x_train=images, y_train=labels)
    study = joined.write_study(
        "noise",
        data={"source": "npz", "path": "noise.npz", "validation_fraction": 0.2, "test_fraction": 0.2},
        resources={"max_concurrent": 1},
        export={"top": 1, "formats": ["keras"]},
        references=True,
    )
    yield joined, json.loads(joined.run("run", study, "--json"))
    joined.close()


def test_no_winner_is_claimed_of_noise(noise):
    joined, found = noise
    assert found["verdict"].startswith("no trial beats the ")
    assert [row["name"] for row in found["references"]] == [
        "majority class",
        "nearest class mean",
        "logistic regression on pixels",
    ]
    assert 0.2 < found["references"][0]["metrics"]["val_accuracy"] < 0.5
    assert found["references"][0]["metrics"].keys() == {"val_accuracy", "test_accuracy"}
    text = joined.run("status", "runs/noise")
    assert text.index(found["verdict"]) < text.index("best val_accuracy") < text.index("majority class  ")
    page = (joined.folder / "runs" / "noise" / "report.html").read_text(encoding="utf-8")
    assert f"<strong>{found['verdict'].capitalize()[:20]}" in page


def test_every_accuracy_of_noise_has_an_interval_and_the_first_is_tied(noise):
    _, found = noise
    low, high = found["best"]["intervals"]["val_accuracy"]
    assert low < found["best"]["value"] < high
    assert found["exports"][0]["intervals"].keys() == {"test_accuracy"}
    assert found["tied"][0] == found["best"]["trial"]


def test_reference_rows_are_found_again_and_lost_ones_do_no_harm(noise):
    joined, found = noise
    folder = joined.folder / "runs" / "noise"
    before = (folder / "references.json").stat().st_mtime_ns
    again = json.loads(joined.run("resume", "runs/noise", "--json"))
    assert again["references"] == found["references"]
    assert (folder / "references.json").stat().st_mtime_ns == before
    result = open_run(folder)
    assert result.references["reference"].to_pylist() == [row.name for row in read_references(result.folder)]
    copy = shutil.copytree(folder, joined.folder / "copy")
    (copy / "references.json").unlink()
    assert "references" not in json.loads(joined.run("status", "copy", "--json"))
    assert open_run(copy).references.num_rows == 0
