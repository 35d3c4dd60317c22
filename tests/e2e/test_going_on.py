"""What a study does when what it stands on was changed or lost between two sessions, or is full."""

import shutil
import signal

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.slow

#: More than are done when a study is paused after its first reports.
MAX_EPOCHS = 40
#: Two trials, one after the other in one worker process.
SHORT = {"search": {"algorithm": "random", "trials": 2}, "resources": {"max_concurrent": 1}}


def make_images(path, *, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 240)
    images = np.clip(generator.normal(80 * labels[:, None, None], 20, (240, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(path, x=images, y=labels)


def pause(convfleet, name, **changes):
    """Runs a study until its first reports and stops it there, as systems that go down do."""
    study = convfleet.write_study(name, schedule={"algorithm": "none", "max_epochs": MAX_EPOCHS}, **SHORT, **changes)
    process = convfleet.start("run", study)
    convfleet.wait_for(name, "epoch_reported", 4, process)
    process.send_signal(signal.SIGTERM)
    convfleet.finish(process, code=130)
    return convfleet.folder / "runs" / name


def test_changed_data_and_changed_studies_are_refused_and_lost_checkpoints_are_not(joined):
    make_images(joined.folder / "images.npz", seed=1)
    data = {"source": "npz", "path": "images.npz"}
    run = pause(joined, "changed", data=data, export={"top": 1, "formats": ["keras"]})
    before = joined.records("changed")

    make_images(joined.folder / "images.npz", seed=2)
    output = joined.run("resume", "runs/changed", code=2)
    assert "not the images that the run began with" in output
    make_images(joined.folder / "images.npz", seed=1)

    study = yaml.safe_load((run / "study.yaml").read_text())
    (run / "study.yaml").write_text(yaml.safe_dump({**study, "schedule": {**study["schedule"], "max_epochs": 9}}))
    output = joined.run("resume", "runs/changed", code=2)
    assert "study.yaml: was changed since the run began" in output
    assert joined.records("changed") == before

    # What may change does: fewer retries, other exports. And a trial whose checkpoints are gone is trained again.
    (run / "study.yaml").write_text(yaml.safe_dump({**study, "resources": {**study["resources"], "retries": 0}}))
    trained = [record["trial"] for record in before if record["type"] == "epoch_reported"]
    shutil.rmtree(run / "checkpoints" / trained[-1])
    output = joined.run("resume", "runs/changed")
    reports = joined.reports("changed")
    assert len(reports) == 2 * MAX_EPOCHS
    assert len(list((run / "exports").glob("1-*/model.keras"))) == 1


def test_checkpoints_that_cannot_be_written_pause_the_study_and_no_trial_is_blamed(joined):
    run = pause(joined, "blocked")
    before = joined.reports("blocked")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("a file in the way")
    output = joined.run("resume", "runs/blocked", code=1)
    assert "convfleet resume runs/blocked" in output
    assert joined.records("blocked", "trial_failed") == []
    assert joined.records("blocked")[-1]["type"] == "study_paused"

    (run / "checkpoints").unlink()
    joined.run("resume", "runs/blocked")
    reports = joined.reports("blocked")
    assert len(reports) == 2 * MAX_EPOCHS
    assert before.items() <= reports.items()


def test_export_that_fails_leaves_the_others_and_can_be_tried_again(joined):
    study = joined.write_study("shipped", export={"top": 0}, **SHORT)
    joined.run("run", study)
    run = joined.folder / "runs" / "shipped"
    best = joined.run("status", "runs/shipped", "--json")
    name = yaml.safe_load(best)["best"]["trial"]
    shutil.move(run / "checkpoints" / name, run / "set-aside")
    # Nor can it be trained again.
    (run / "checkpoints" / name).write_text("a file in the way")
    output = joined.run("export", "runs/shipped", "--top", "2", "--format", "keras", code=1)
    assert f"{name}: its best checkpoint cannot be exported" in output
    assert [path.name for path in (run / "exports").iterdir() if path.name.startswith("2-")]
    (run / "checkpoints" / name).unlink()
    shutil.move(run / "set-aside", run / "checkpoints" / name)
    joined.run("export", "runs/shipped", "--format", "keras")
    assert (run / "exports" / f"1-{name}" / "model.keras").is_file()


def test_a_checkpoint_budget_leaves_what_exports_need_and_says_what_is_gone(joined):
    study = joined.write_study(
        "tight", export={"top": 1, "formats": ["keras"]}, storage={"checkpoint_budget_gb": 1e-6}, **SHORT
    )
    output = joined.run("run", study)
    assert "checkpoints that are still needed take" in output
    run = joined.folder / "runs" / "tight"
    best = yaml.safe_load(joined.run("status", "runs/tight", "--json"))["best"]["trial"]
    assert [path.parent.name for path in run.glob("checkpoints/*/[!.]*")] == [best]
    assert len(list((run / "checkpoints" / best).glob("weights-*"))) == 1
    noted = {record["trial"] for record in joined.records("tight", "trial_noted")}
    assert noted == {"t0000", "t0001"}

    shutil.rmtree(run / "exports")
    joined.run("export", "runs/tight")
    assert len(list(run.glob("exports/1-*/model.keras"))) == 1
    output = joined.run("export", "runs/tight", "--top", "2")
    text = "its checkpoints were deleted to keep storage.checkpoint_budget_gb; trained again from the beginning"
    assert text in output
    assert len(list(run.glob("exports/2-*/model.keras"))) == 1
