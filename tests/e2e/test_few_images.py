"""A folder of 180 pictures, a built-in space and the defaults: the best model finds the shapes on new pictures."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytestmark = pytest.mark.slow

NUM_A_CLASS = 60


def draw_shapes(folder, generator):
    """Writes three classes of shapes, 48 wide and 64 high, somewhere on a noisy ground, as JPEGs."""
    for name in ("cross", "disc", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(NUM_A_CLASS):
            picture = Image.fromarray(generator.integers(0, 90, (64, 48, 3), dtype=np.uint8))
            pen = ImageDraw.Draw(picture)
            column, row, size = generator.integers(12, 36), generator.integers(14, 50), generator.integers(6, 11)
            colour = tuple(map(int, generator.integers(120, 256, 3)))
            box = [column - size, row - size, column + size, row + size]
            match name:
                case "disc":
                    pen.ellipse(box, fill=colour)
                case "square":
                    pen.rectangle(box, fill=colour)
                case "cross":
                    pen.line([column - size, row, column + size, row], fill=colour, width=4)
                    pen.line([column, row - size, column, row + size], fill=colour, width=4)
            picture.save(folder / name / f"{number}.jpg")


def test_the_best_of_few_trials_on_few_images_is_good_on_new_ones(joined):
    draw_shapes(joined.folder / "shapes", np.random.default_rng(5))
    study = joined.write_study(
        "few",
        data={"source": "images", "path": "shapes"},
        space="cnn-small",
        # The portfolio, which goes first; the search itself is another test's.
        search={"algorithm": "random", "trials": 3},
        resources={"max_concurrent": 1},
        schedule={"max_epochs": 10},
        export={"top": 1, "formats": ["keras"]},
    )
    said = joined.run("run", study)
    assert "space.params.batch_size: 16, 32, 64, 128 left out" in said
    assert "schedule.grace_epochs: auto is 10: 42 validation images are too few to stop a trial early by" in said
    run = joined.folder / "runs" / "few"
    written = (run / "study.yaml").read_text()
    assert all(line in written for line in ("max_epochs: 10\n", "grace_epochs: 10\n", "min_rivals: 3\n"))
    (export,) = (run / "exports").iterdir()
    # Chance is 0.33; on several seeds it was 1.00.
    assert json.loads((export / "manifest.json").read_text())["test_metrics"]["accuracy"] >= 0.9
    # The numbers are settled: the study goes on, and is extended, as any other.
    assert "finished" in joined.run("resume", run)
    assert "schedule.max_epochs 10 -> 11" in joined.run("resume", run, "--set", "schedule.max_epochs=11")
