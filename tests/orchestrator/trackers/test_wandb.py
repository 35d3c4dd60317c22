"""What the folders of offline runs of Weights & Biases hold is what the journal has, each row once."""

import json
import struct
from collections import Counter

import pytest
from tracked_runs import EXTENDED, FINISHED, values_of, write_run

from orchestrator.errors import TrackerError
from orchestrator.trackers.following import once
from orchestrator.trackers.tracking import Tracking

wandb = pytest.importorskip("wandb", reason="needs the extra wandb: pip install 'convfleet[wandb]'")

FEW = [record for record in FINISHED if getattr(record, "trial", "t0003") in ("t0003", "t0005")]
LONGER = [record for record in EXTENDED if getattr(record, "trial", "t0003") in ("t0003", "t0005", "t0014")]


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """Settings of a user who is offline; wandb reads them once a process."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb.teardown()
    yield
    wandb.teardown()


def send(run):
    return once({"wandb": lambda: Tracking(run, tracker="wandb")})


def bodies_of(data):
    """Yields the records of an offline run's file: LevelDB's log format, behind seven bytes of its own."""
    at, parts = 7, b""
    while at + 7 <= len(data):
        if (left := 32_768 - at % 32_768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += 7 + length
        parts += data[at - length : at]
        if kind in (1, 4):
            yield parts
            parts = b""


def records_of(folder):
    """Yields the trial, the kind and the content of every record in all offline runs, as wandb wrote them."""
    from wandb.proto.wandb_internal_pb2 import Record

    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert max(Counter(path.name for path in paths).values()) == 1
    for path in paths:
        for body in bodies_of(path.read_bytes()):
            record = Record()
            record.ParseFromString(body)
            yield path.stem[-5:], record.WhichOneof("record_type"), record


def told(folder, metric):
    """Returns the values of a metric by trial and epoch; one that comes twice is an error."""
    rows = {}
    for trial, kind, record in records_of(folder):
        if kind == "history":
            values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            assert (trial, record.history.step.num) not in rows
            rows[trial, record.history.step.num] = values[metric]
    return rows


def test_every_row_has_its_epoch_its_values_and_its_time(tmp_path):
    send(write_run(tmp_path / "run", FEW))
    assert told(tmp_path, "val_accuracy") == pytest.approx(values_of(FEW, "val_accuracy"))
    times = [record.at for record in FEW if getattr(record, "report", None)]
    assert list(told(tmp_path, "_timestamp").values()) == times


def test_a_trial_is_a_run_of_the_group_of_its_study_with_an_id_for_ever(tmp_path):
    send(write_run(tmp_path / "run", FEW))
    found = {trial: record.run for trial, kind, record in records_of(tmp_path) if kind == "run"}
    assert list(found) == ["t0003", "t0005"]
    best = found["t0003"]
    assert (best.project, best.display_name) == ("convfleet", "t0003")
    assert best.run_group == f"cifar10-small-{best.run_id.removesuffix('-t0003')}"
    config = {item.key: json.loads(item.value_json) for item in best.config.update}
    assert (config["family"], config["filters"]) == ("sequential", 8)
    ended = [
        (item.key, json.loads(item.value_json))
        for trial, kind, record in records_of(tmp_path)
        if (trial, kind) == ("t0005", "summary")
        for item in record.summary.update
        if item.key in ("state", "reason")
    ]
    assert dict(ended) == {"state": "infeasible", "reason": "five pooling steps leave no pixel of a 16x16 image"}


def test_a_call_that_dies_in_the_middle_one_without_a_cursor_and_an_extension_double_nothing(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", FEW)
    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "finish", _cut)
    with pytest.raises(TrackerError, match="wandb: the connection was cut"):
        send(run)
    monkeypatch.undo()
    wandb.teardown()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    send(run)
    run.tracker("wandb").unlink()
    write_run(run.root, LONGER)
    send(run)
    assert told(tmp_path, "loss") == pytest.approx(values_of(LONGER, "loss"))


def test_a_trial_that_grew_between_two_calls_is_one_whole_folder(tmp_path):
    run = write_run(tmp_path / "run", FEW[:8])
    send(run)
    assert 0 < len(told(tmp_path, "loss")) < len(values_of(FEW, "loss"))
    write_run(run.root, FEW)
    send(run)
    assert told(tmp_path, "loss") == pytest.approx(values_of(FEW, "loss"))


def _cut(run, *_, **__):
    raise OSError("the connection was cut")


def test_a_wandb_that_is_switched_off_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    wandb.teardown()
    with pytest.raises(TrackerError, match="wandb: is disabled, so it keeps nothing; set WANDB_MODE=offline or online"):
        send(write_run(tmp_path / "run", FEW))
