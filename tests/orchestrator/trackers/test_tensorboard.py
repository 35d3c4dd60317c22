"""What TensorBoard reads from a run's event files is what its journal has, each number once."""

import subprocess
import sys
import types

import pytest
from tracked_runs import EXTENDED, FINISHED, values_of, write_run

from orchestrator.errors import TrackerError
from orchestrator.study.loading import load_space
from orchestrator.trackers import tracking
from orchestrator.trackers.following import once
from orchestrator.trackers.tracking import Tracking

pytest.importorskip("tensorboard", reason="needs the extra tensorboard: pip install 'convfleet[tensorboard]'")


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """TensorBoard's own reader; its stand-in for TensorFlow spares its import."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    from tensorboard.backend.event_processing import event_accumulator

    def read(path):
        found = event_accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
        return found.Reload()

    return read


def send(run, to=None):
    space = load_space(run.study)
    return once({"tensorboard": lambda: Tracking(run, tracker="tensorboard", space=space, to=to)})


def told(read, folder, tag):
    """Returns the values of a tag by trial and epoch; one that comes twice is an error."""
    rows = {}
    for path in folder.glob("t*"):
        found = read(path)
        for item in found.Scalars(tag) if tag in found.Tags()["scalars"] else ():
            assert (path.name, item.step) not in rows
            rows[path.name, item.step] = item.value
    return rows


@pytest.mark.parametrize("metric", ["val_accuracy", "loss"])
def test_every_value_of_the_journal_is_read_back(tmp_path, reader, metric):
    run = write_run(tmp_path / "run")
    send(run)
    assert told(reader, run.tensorboard, metric) == pytest.approx(values_of(FINISHED, metric))


def test_an_event_has_the_time_of_its_report(tmp_path, reader):
    run = write_run(tmp_path / "run")
    send(run)
    times = [record.at for record in FINISHED if getattr(record, "report", None) and record.trial == "t0003"]
    assert [item.wall_time for item in reader(run.tensorboard / "t0003").Scalars("val_loss")] == times


def test_the_study_has_its_best_value_and_what_its_hyperparameters_may_be(tmp_path, reader):
    from tensorboard.plugins.hparams import api_pb2, metadata

    run = write_run(tmp_path / "run")
    send(run)
    found = reader(run.tensorboard)
    assert found.Scalars("best/val_accuracy")[-1].value == pytest.approx(
        max(values_of(FINISHED, "val_accuracy").values())
    )
    content = found.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    infos = {item.name: item for item in experiment.hparam_infos}
    assert list(infos) == ["family", "filters", "learning_rate", "optimizer"]
    assert [value.number_value for value in infos["filters"].domain_discrete.values] == [8, 16, 32]
    assert infos["optimizer"].type == api_pb2.DATA_TYPE_STRING
    assert infos["learning_rate"].domain_interval.max_value == pytest.approx(0.1)
    assert experiment.metric_infos[0].name.tag == "best/val_accuracy"


def test_a_trial_has_its_hyperparameters_and_how_it_ended(tmp_path, reader):
    from tensorboard.plugins.hparams import api_pb2, metadata

    run = write_run(tmp_path / "run")
    send(run)
    failed = reader(run.tensorboard / "t0008")
    begin = failed.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    params = metadata.parse_session_start_info_plugin_data(begin).hparams
    assert (params["family"].string_value, params["filters"].number_value) == ("transfer", 16)
    end = failed.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    assert metadata.parse_session_end_info_plugin_data(end).status == api_pb2.STATUS_FAILURE


@pytest.mark.parametrize("cut", [1, 30, 400])
def test_a_call_that_dies_while_it_writes_leaves_no_number_out_and_none_twice(tmp_path, reader, cut, monkeypatch):
    monkeypatch.setattr(tracking, "write_cursor", lambda *_, **__: None)
    run = write_run(tmp_path / "run")
    send(run)
    for path in run.tensorboard.glob("t*/*"):
        data = path.read_bytes()
        path.write_bytes(data[: max(0, len(data) - cut)])
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    send(run)
    assert told(reader, run.tensorboard, "val_accuracy") == pytest.approx(values_of(FINISHED, "val_accuracy"))


def test_two_calls_and_an_extension_tell_each_number_once(tmp_path, reader):
    run = write_run(tmp_path / "run", FINISHED[:60])
    for records in (FINISHED, FINISHED, EXTENDED):
        send(run)
        write_run(run.root, records)
    send(run)
    assert told(reader, run.tensorboard, "val_accuracy") == pytest.approx(values_of(EXTENDED, "val_accuracy"))


def test_another_folder_gets_a_folder_of_the_run(tmp_path, reader):
    run = write_run(tmp_path / "run")
    (progress,) = send(run, to=tmp_path / "shared")
    assert progress.place == str(tmp_path / "shared" / "run")
    assert len(told(reader, tmp_path / "shared" / "run", "loss")) == len(values_of(FINISHED, "loss"))
    assert not run.tensorboard.exists()


def test_a_folder_that_was_deleted_is_written_anew(tmp_path, reader):
    import shutil

    run = write_run(tmp_path / "run")
    send(run)
    shutil.rmtree(run.tensorboard)
    send(run)
    assert told(reader, run.tensorboard, "loss") == pytest.approx(values_of(FINISHED, "loss"))


def test_a_folder_that_cannot_be_written_is_said_with_its_name(tmp_path):
    run = write_run(tmp_path / "run")
    run.tensorboard.write_text("a file", encoding="utf-8")
    with pytest.raises(TrackerError, match=r"tensorboard: .*run/tensorboard.*: cannot be written \("):
        send(run)


def test_neither_the_command_nor_the_room_imports_tensorflow(tmp_path):
    run = write_run(tmp_path / "run")
    code = (
        "import sys; from typer.testing import CliRunner; from orchestrator.cli.app import app\n"
        f"done = CliRunner().invoke(app, ['track', {str(run.root)!r}, '--to', 'tensorboard', '--json'])\n"
        "print(done.exit_code, [name for name in ('tensorflow', 'keras', 'ray', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0 []", done.stderr
    assert len(list(run.tensorboard.glob("t*"))) == 14
