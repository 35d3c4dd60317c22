"""One study in which trials hang, diverge, run out of memory and raise: the others finish, and each is told apart."""

import html
import sys
import textwrap

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

#: What a model does in a worker's training steps, by the parameter `behaviour`.
BEHAVING = """
    import time

    import keras
    import tensorflow as tf
    from keras import layers

    def act(behaviour, count):
        if behaviour == "hang":
            while True:
                time.sleep(1)
        if behaviour == "exhaust" or (behaviour == "exhaust_if_whole" and count > 8):
            raise tf.errors.ResourceExhaustedError(None, None, f"OOM when allocating {count} images")
        return float("nan") if behaviour == "diverge" else 1.0

    class Behaving(layers.Layer):
        def __init__(self, behaviour, **options):
            super().__init__(**options)
            self.behaviour = behaviour

        def call(self, inputs, training=None):
            if not training:
                return inputs
            if self.behaviour == "raise":
                raise ValueError("this behaviour raises")
            factor = tf.py_function(lambda count: act(self.behaviour, int(count)), [tf.shape(inputs)[0]], tf.float32)
            return inputs * tf.ensure_shape(factor, [])

    def build(params, input_shape, targets):
        image = keras.Input(input_shape)
        features = Behaving(params["behaviour"])(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
        return keras.Model(image, layers.Dense(targets[0].size, activation="softmax")(features))
"""
#: The kind of failure, and what its reason says.
EXPECTED = {
    "hang": ("timed_out", "for the second time; if it only needs longer, raise resources.report_timeout_seconds"),
    "diverge": ("diverged", "loss=nan"),
    "exhaust": ("out_of_memory", "ran out of memory in batches of 32 (a step was estimated at 0 MB), and again in 4"),
    "raise": ("code_error", "behaving.py:25: ValueError: this behaviour raises"),
}
FINE = ("fine", "fine_too", "exhaust_if_whole")
#: The study's own limit follows from its slowest report, so it fits slow machines as well; only its constants are made
#: small, so that a trial that hangs is found soon.
IMPATIENT = (
    "import orchestrator.tuning.losses.timeouts as timeouts; "
    "timeouts.LEAST_SECONDS, timeouts.TIMES_LONGEST = 12.0, 2.0; "
    "import orchestrator.tuning.silent_workers as late_workers; late_workers._STALL_SECONDS = 3.0; "
    "from orchestrator.cli.app import main; main()"
)


def test_failures_of_one_study_are_told_apart_and_the_other_trials_finish(joined):
    joined.program = (sys.executable, "-c", IMPATIENT)
    (joined.folder / "behaving.py").write_text(textwrap.dedent(BEHAVING), encoding="utf-8")
    study = joined.write_study(
        "mixed",
        space={
            "family": "custom",
            "params": {
                "function": "behaving:build",
                "behaviour": {"choice": [FINE[0], *EXPECTED, *FINE[1:]]},
                "batch_size": 32,
            },
        },
        search={"algorithm": "grid"},
        schedule={"algorithm": "none", "max_epochs": 2},
        resources={"report_timeout_seconds": "auto"},
    )
    output = joined.run("run", study)
    assert "lost its worker: no report of epoch 1 for" in output

    run = joined.folder / "runs" / "mixed"
    trials = {row["param.behaviour"]: row for row in pq.read_table(run / "trials.parquet").to_pylist()}
    status = joined.run("status", "runs/mixed")
    report = html.unescape((run / "report.html").read_text(encoding="utf-8"))
    for behaviour, (kind, words) in EXPECTED.items():
        trial = trials[behaviour]
        assert (trial["state"], trial["failure_kind"]) == ("failed", kind), trial
        assert words in trial["reason"], trial
        assert trial["epochs"] == 0
        assert f"{kind}: {trial['trial']}" in status
        assert words in " ".join(status.split())
        assert trial["reason"] in report
    for behaviour in FINE:
        trial = trials[behaviour]
        assert (trial["state"], trial["epochs"], trial["failure_kind"]) == ("completed", 2, None), trial
    (note,) = trials["exhaust_if_whole"]["notes"]
    assert note.startswith("batches of 32 ran out of memory; trained in 4 micro-batches of 8 each, the gradients added")
    assert all(not trials[behaviour]["notes"] for behaviour in ("fine", "fine_too", *EXPECTED))

    losses = joined.records("mixed", "worker_lost")
    assert [(loss["trial"], loss["kind"]) for loss in losses] == [(trials["hang"]["trial"], "timed_out")]
