"""What of a study travels to a cluster: its file, the code that it names, and no data."""

import shlex

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.cluster.jobs.shipment import demand_absolute_runs, shipment_of
from orchestrator.errors import InputError

STUDY = {
    "name": "flowers",
    "data": {"source": "images", "path": "/mnt/nodes/flowers", "image_size": [8, 8]},
    "space": "cnn-small",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a study file below a folder of its own and returns its path."""
    monkeypatch.chdir(tmp_path)

    def written(**changes):
        path = tmp_path / "studies" / "flowers.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({**STUDY, **changes}))
        return str(path)

    return written


def test_data_need_not_lie_here_and_does_not_travel(write):
    study = write()
    shipment = shipment_of(study, overrides=())
    assert list(shipment.files) == ["flowers.yaml"]
    assert shipment.on_nodes == ("/mnt/nodes/flowers",)
    assert shlex.split(shipment.command(runs="/mnt/my runs")) == [
        *("convfleet", "run", "flowers.yaml", "--resume-if-there"),
        *("--address", "auto", "--runs", "/mnt/my runs"),
    ]


def test_the_code_that_a_study_names_travels_with_what_it_imports_and_nothing_else_does(write, tmp_path):
    study = write(callbacks=["stopping:Stop"])
    folder = tmp_path / "studies"
    (folder / "stopping.py").write_text("from tools import thing\nimport nets.small\n\ndef Stop():\n    return thing\n")
    (folder / "tools.py").write_text("thing = 1\n")
    (folder / "nets").mkdir()
    (folder / "nets" / "__init__.py").touch()
    (folder / "nets" / "small.py").write_text("x = 1\n")
    (folder / "unrelated.py").write_text("y = 1\n")
    (folder / "secret.txt").write_text("s")
    shipment = shipment_of(study, overrides=())
    assert sorted(shipment.files) == ["flowers.yaml", "nets/__init__.py", "nets/small.py", "stopping.py", "tools.py"]
    assert shipment.files["tools.py"] == b"thing = 1\n"


def test_a_function_of_a_custom_family_and_one_that_returns_data_travel(write, tmp_path):
    study = write(
        space={"family": "custom", "params": {"function": "nets:build"}},
        data={"source": "python", "function": "arrays:load"},
    )
    (tmp_path / "studies" / "nets.py").write_text("def build(params, input_shape, targets):\n    return None\n")
    (tmp_path / "studies" / "arrays.py").write_text("def load():\n    return None\n")
    assert sorted(shipment_of(study, overrides=()).files) == ["arrays.py", "flowers.yaml", "nets.py"]


def test_settings_are_in_the_file_that_travels(write):
    shipment = shipment_of(write(), overrides=["search.trials=3", "data.path=/elsewhere/flowers"])
    content = yaml.safe_load(shipment.files["flowers.yaml"])
    assert (content["search"]["trials"], content["data"]["path"]) == (3, "/elsewhere/flowers")
    assert shipment.spec.num_trials == 3
    assert "--set" not in shipment.command(runs="/runs")


def test_a_packaged_study_travels_as_its_name_and_settings(write):
    shipment = shipment_of("quickstart", overrides=["search.trials=3"])
    assert shipment.files == {}
    assert shipment.command(runs="/r").startswith("convfleet run quickstart --set search.trials=3 --resume-if-there")


def test_data_beside_the_study_file_is_refused_with_what_to_do(write):
    study = write(data={**STUDY["data"], "path": "flowers"}, reuse=["runs/old"])
    with pytest.raises(InputError) as caught:
        shipment_of(study, overrides=())
    first, second = str(caught.value).splitlines()
    assert "data.path: 'flowers' is relative to the study file, and does not travel" in first
    assert first.endswith("such as --set data.path=/mnt/shared/flowers")
    assert "reuse: 'runs/old' is relative" in second


def test_mistakes_of_a_study_are_said_before_anything_travels(write):
    with pytest.raises(InputError, match="did you mean 'trials'"):
        shipment_of(write(search={"trails": 3}), overrides=())


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, "a job needs one, got nothing"),
        ("runs", "temporary folder of Ray's, which Ray clears, so 'runs' would be lost"),
        ("s3://bucket/runs", "a URI belongs into storage.uri"),
    ],
)
def test_runs_that_would_be_lost_are_refused(runs, said):
    with pytest.raises(InputError) as caught:
        demand_absolute_runs(runs)
    assert said in str(caught.value)
    assert "--runs /mnt/shared/runs" in str(caught.value)
    assert demand_absolute_runs("/mnt/runs") == "/mnt/runs"


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(write):
    arguments = ["launch", write(), "--on", "head:8265", "--runs", "/mnt/runs", "--dry-run"]
    shown = CliRunner().invoke(app, arguments).stdout
    assert "on       http://head:8265\n" in shown
    assert "sends    flowers.yaml, " in shown
    assert "needs    /mnt/nodes/flowers, on every node\n" in shown
    assert "run      /mnt/runs/flowers" in shown
    asked = CliRunner().invoke(app, [*arguments, "--json"]).stdout
    content = yaml.safe_load(asked)
    assert content["command"].startswith("convfleet run flowers.yaml --resume-if-there")
    assert content["on_nodes"] == ["/mnt/nodes/flowers"]
