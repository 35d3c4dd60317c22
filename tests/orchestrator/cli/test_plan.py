"""`convfleet plan` says what a study will cost, tells why variants cannot be trained, and writes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli import app as cli

#: Prints to standard error what the driver has imported by its end.
CODE = """
import atexit, sys
from orchestrator.cli import app as cli
sys.argv = ['convfleet', 'plan', *sys.argv[1:]]
atexit.register(lambda: print('imported', *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))
cli.main()
"""
MODEL = """
import keras
from trainables.errors import InfeasibleError

def build(params, input_shape, targets):
    depth = params["depth"]
    if depth == 2:
        raise InfeasibleError("two layers are one too many; use one")
    if depth == 3:
        raise ValueError("nobody thought of three")
    image = keras.Input(input_shape, name="image")
    features = keras.layers.Conv2D(params["width"], 3)(image)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(image, keras.layers.Dense(targets[0].size, activation="softmax")(features))
"""
STUDY = """
name: planned
seed: 3
data: {source: digits, limit: 300, validation_fraction: 0.2, cache_dir: cache}
space:
  family: custom
  params: {function: "model:build", width: {choice: [4, 8, 64]}, depth: {choice: DEPTHS}, batch_size: 32}
  limits: {parameters: 1000}
search: {algorithm: random, trials: 9}
schedule: {algorithm: asha, max_epochs: 9, grace_epochs: 1}
"""


@pytest.fixture
def convfleet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["convfleet", "plan", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["quickstrat"], "error: 'quickstrat': no such study file"),
        (["quickstart", "--set", "search.trials=0"], "error: quickstart: search.trials: must be greater than or equal"),
        (["quickstart", "--set", "data={source: npz, path: gone.npz}"], "'gone.npz'"),
        (["quickstart", "--sample", "0"], "Invalid value for '--sample'"),
        (["quickstart", "--measure", "0"], "Invalid value for '--measure'"),
        (["quickstart", "--slots", "0"], "Invalid value for '--slots'"),
        (
            ["quickstart", "--set", "schedule.algorithm=pbt", "--set", "schedule.max_epochs=9"],
            "so --set schedule.algorithm=none --set search.trials=8 plans what it costs",
        ),
    ],
    ids=["unknown", "wrong", "no data", "no sample", "nothing measured", "no slots", "a population"],
)
def test_a_study_that_is_none_is_refused_with_2(convfleet, arguments, expected) -> None:
    code, out, err = convfleet(*arguments)
    assert (code, out) == (2, "")
    assert expected in " ".join(err.replace("│", " ").split())


def planned(folder: Path, *arguments: str, depths: str) -> subprocess.CompletedProcess[str]:
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY.replace("DEPTHS", depths), encoding="utf-8")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", CODE, "study.yaml", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=folder,
        env=environment,
    )


@pytest.mark.slow
def test_a_plan_tells_costs_and_reasons_and_writes_nothing_but_the_data(tmp_path) -> None:
    result = planned(tmp_path, "--slots", "3", "--json", "--measure", "2", depths="[1, 2, 3]")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["space_size"] == told["num_trials"] == told["num_sampled"] == 9
    # Depths 2 and 3, three widths each; width 64 of depth 1 has 1,290 parameters.
    problems = told["problems"]
    assert problems.pop("two layers are one too many; use one") == 3
    assert sum(count for reason, count in problems.items() if "nobody thought of three" in reason) == 3
    assert sum(count for reason, count in problems.items() if "space.limits allows 1,000" in reason) == 1
    assert told["infeasible_share"] == pytest.approx(7 / 9)
    # 9 numbers and a bias for each filter, then 10 classes.
    assert told["costs"]["parameters"] == {"low": 4 * 10 + 5 * 10, "median": 130.0, "high": 8 * 10 + 9 * 10}
    widths = [item["variant"]["params"]["width"] for item in told["measured"]]
    assert widths == [4, 8]
    assert all(item["epoch_seconds"] > 0 and item["num_steps"] > 0 for item in told["measured"])
    assert [item["slots"] for item in told["forecasts"]][1] == 3
    for item in told["forecasts"]:
        assert 0 < item["wall_seconds"]["p50"] <= item["wall_seconds"]["p90"]
    assert [item["schedule"] for item in told["others"]] == ["none", "median", "hyperband", "pasha"]
    assert told["others"][0]["epochs"]["p50"] == 2 * 9
    imported = set(result.stderr.split("imported ")[1].split())
    assert "orchestrator" in imported
    assert not imported & {"tensorflow", "keras", "ray"}
    assert {path.name for path in tmp_path.iterdir()} == {"model.py", "study.yaml", "cache"}


@pytest.mark.slow
def test_a_study_without_a_variant_that_can_be_trained_ends_with_1(tmp_path) -> None:
    result = planned(tmp_path, depths="[2]")
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        "error: none of 3 sampled variants can be trained on these images: two layers are one too many; use one "
        "(3 times); change the space or its limits" in result.stderr
    )


@pytest.mark.slow
def test_people_read_what_scripts_do(tmp_path) -> None:
    result = planned(tmp_path, "--measure", "1", depths="[1, 2]")
    assert result.returncode == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "planned: 6 trials of up to 9 epochs" in text
    assert "space 6 variants; 4 of 6 sampled variants cannot be trained" in text
    assert "3: two layers are one too many; use one" in text
    assert "with hyperband" in text
    assert "this study, " in text
