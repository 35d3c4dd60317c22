"""Worker processes make room for fresh ones, as the study asks."""

import sys
import textwrap
from collections import Counter

import pytest

pytestmark = pytest.mark.slow

#: A model's code that takes a hundred megabytes more with every trial of a process.
LEAKING = """
    import keras
    from keras import layers

    HELD = []

    def build(params, input_shape, targets):
        HELD.append(b"x" * 100_000_000)
        image = keras.Input(input_shape)
        features = layers.Dense(params["width"])(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
        return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""
#: Recycles after less than the gigabyte that machines of developers may not have to spare.
STRICT = "import orchestrator.tuning.worker_generations as recycling; recycling.GROWTH_MB = 250.0; "
MAIN = "from orchestrator.cli.app import main; main()"


def test_worker_processes_are_replaced_after_so_many_trials(joined):
    study = joined.write_study(
        "renewed",
        search={"algorithm": "random", "trials": 4},
        schedule={"algorithm": "none", "max_epochs": 1},
        resources={"max_concurrent": 1, "trials_per_worker": 2},
    )
    joined.run("run", study)
    trained = Counter(record["worker"]["worker_pid"] for record in joined.records("renewed", "epoch_reported"))
    assert sorted(trained.values()) == [2, 2]
    assert all(record["worker"]["memory_mb"] > 50 for record in joined.records("renewed", "epoch_reported"))


@pytest.mark.parametrize("max_epochs", [1, 2])
def test_a_process_that_grows_makes_room_for_a_fresh_one(max_epochs, joined):
    joined.program = (sys.executable, "-c", STRICT + MAIN)
    (joined.folder / "leaking.py").write_text(textwrap.dedent(LEAKING), encoding="utf-8")
    study = joined.write_study(
        "leaking",
        space={"family": "custom", "params": {"function": "leaking:build", "width": {"int": [2, 90]}}},
        search={"algorithm": "random", "trials": 7},
        schedule={"algorithm": "none", "max_epochs": max_epochs},
        resources={"max_concurrent": 1},
    )
    joined.run("run", study)
    told = [record for record in joined.records("leaking", "epoch_reported") if record["report"]["epoch"] == 1]
    trained = list(Counter(record["worker"]["worker_pid"] for record in told).values())
    assert len(trained) > 1
    # Three more than its first make a process too large; Ray Tune may have asked for the next trial by then.
    assert all(2 <= count <= 5 for count in trained[:-1])
