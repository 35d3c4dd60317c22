"""A build(hp) of Keras Tuner's, unchanged, swept in parallel, interrupted, resumed, exported."""

import signal

import pytest
from hypermodels import GUIDE, HEADER

pytestmark = pytest.mark.slow


def test_a_hypermodel_is_swept_interrupted_and_resumed_with_the_same_numbers(convfleet, told_by_plain_keras):
    (convfleet.folder / "nets.py").write_text(HEADER + GUIDE, encoding="utf-8")
    study = convfleet.write_study(
        "tuned",
        space={"family": "keras_tuner", "params": {"function": "nets:build", "batch_size": 64}},
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "asha", "max_epochs": 12, "grace_epochs": 2},
        export={"top": 1, "formats": ["keras", "saved_model"]},
    )
    process = convfleet.start("run", study)
    convfleet.wait_for("tuned", "epoch_reported", 3, process)
    process.send_signal(signal.SIGINT)
    convfleet.finish(process, code=130)
    before = convfleet.reports("tuned")
    variants = [record["variant"]["params"] for record in convfleet.records("tuned", "trial_proposed")]
    assert "finished" in convfleet.run("resume", "runs/tuned")
    after = convfleet.reports("tuned")
    assert before.items() <= after.items()
    proposed = [record["variant"]["params"] for record in convfleet.records("tuned", "trial_proposed")]
    assert proposed[: len(variants)] == variants
    for params in proposed:
        assert ("units" in params) == (params["num_blocks"] == 1) == ("filters_1" not in params)
    (folder,) = (convfleet.folder / "runs" / "tuned" / "exports").iterdir()
    assert told_by_plain_keras(folder) == ["signature ['image'] ['output_0']", "output_0 True"]
