"""What a study does when what it stands on was changed or lost between two sessions, or is full."""

import shutil
import signal

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.slow

#: More than are done when a study is paused after its first reports.
MAX_EPOCHS = 24


def make_images(path, *, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 240)
    images = np.clip(generator.normal(80 * labels[:, None, None], 20, (240, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(path, x=images, y=labels)


def pause(convfleet, name, **changes):
    """Runs a study until its first reports and stops it there, as systems that go down do."""
    study = convfleet.write_study(name, schedule={"algorithm": "none", "max_epochs": MAX_EPOCHS}, **changes)
    process = convfleet.start("run", study)
    convfleet.wait_for(name, "epoch_reported", 4, process)
    process.send_signal(signal.SIGTERM)
    convfleet.finish(process, code=130)
    return convfleet.folder / "runs" / name


def test_changed_data_and_changed_studies_are_refused_and_lost_checkpoints_are_not(convfleet):
    make_images(convfleet.folder / "images.npz", seed=1)
    data = {"source": "npz", "path": "images.npz"}
    run = pause(convfleet, "changed", data=data, export={"top": 1, "formats": ["keras"]})
    before = convfleet.records("changed")

    make_images(convfleet.folder / "images.npz", seed=2)
    output = convfleet.run("resume", "runs/changed", code=2)
    assert "not the images that the run began with" in output
    make_images(convfleet.folder / "images.npz", seed=1)

    study = yaml.safe_load((run / "study.yaml").read_text())
    (run / "study.yaml").write_text(yaml.safe_dump({**study, "schedule": {**study["schedule"], "max_epochs": 9}}))
    output = convfleet.run("resume", "runs/changed", code=2)
    assert "study.yaml: was changed since the run began" in output
    assert convfleet.records("changed") == before

    # What may change does: fewer retries, other exports. And a trial whose checkpoints are gone is trained again.
    (run / "study.yaml").write_text(yaml.safe_dump({**study, "resources": {"retries": 0}}))
    trained = [record["trial"] for record in before if record["type"] == "epoch_reported"]
    shutil.rmtree(run / "checkpoints" / trained[-1])
    output = convfleet.run("resume", "runs/changed")
    reports = convfleet.reports("changed")
    assert len(reports) == 4 * MAX_EPOCHS
    assert len(list((run / "exports").glob("1-*/model.keras"))) == 1


def test_checkpoints_that_cannot_be_written_pause_the_study_and_no_trial_is_blamed(convfleet):
    run = pause(convfleet, "blocked")
    before = convfleet.reports("blocked")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("a file in the way")
    output = convfleet.run("resume", "runs/blocked", code=1)
    assert "convfleet resume runs/blocked" in output
    assert convfleet.records("blocked", "trial_failed") == []
    assert convfleet.records("blocked")[-1]["type"] == "study_paused"

    (run / "checkpoints").unlink()
    convfleet.run("resume", "runs/blocked")
    reports = convfleet.reports("blocked")
    assert len(reports) == 4 * MAX_EPOCHS
    assert before.items() <= reports.items()


def test_export_that_fails_leaves_the_others_and_can_be_tried_again(convfleet):
    study = convfleet.write_study("shipped", export={"top": 0})
    convfleet.run("run", study)
    run = convfleet.folder / "runs" / "shipped"
    best = convfleet.run("status", "runs/shipped", "--json")
    name = yaml.safe_load(best)["best"]["trial"]
    shutil.move(run / "checkpoints" / name, run / "set-aside")
    output = convfleet.run("export", "runs/shipped", "--top", "2", "--format", "keras", code=1)
    assert f"{name}: its best checkpoint cannot be exported" in output
    assert [path.name for path in (run / "exports").iterdir() if path.name.startswith("2-")]
    shutil.move(run / "set-aside", run / "checkpoints" / name)
    convfleet.run("export", "runs/shipped", "--format", "keras")
    assert (run / "exports" / f"1-{name}" / "model.keras").is_file()


def test_a_checkpoint_budget_leaves_what_exports_need_and_says_what_is_gone(convfleet):
    study = convfleet.write_study(
        "tight", export={"top": 1, "formats": ["keras"]}, storage={"checkpoint_budget_gb": 1e-6}
    )
    output = convfleet.run("run", study)
    assert "checkpoints that are still needed take" in output
    run = convfleet.folder / "runs" / "tight"
    best = yaml.safe_load(convfleet.run("status", "runs/tight", "--json"))["best"]["trial"]
    assert [path.parent.name for path in run.glob("checkpoints/*/*")] == [best]
    assert len(list((run / "checkpoints" / best).glob("weights-*"))) == 1
    noted = {record["trial"] for record in convfleet.records("tight", "trial_noted")}
    assert noted == {f"t000{number}" for number in range(4)}

    shutil.rmtree(run / "exports")
    convfleet.run("export", "runs/tight")
    assert len(list(run.glob("exports/1-*/model.keras"))) == 1
    output = convfleet.run("export", "runs/tight", "--top", "2", code=1)
    assert "its checkpoints were deleted to keep storage.checkpoint_budget_gb; it can no longer be exported" in output
